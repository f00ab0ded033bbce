/** `naru port add` and `naru port rm`: published ports of a container that exists. */
import type { CliContext } from "#cli/context.ts";
import { parsePorts } from "#cli/run-options/ports.ts";
import type { PortMap } from "#spec/docker/host-config.ts";

/** "80", "80/udp" name every binding of the port; "8080:80" one. */
const removals = (texts: readonly string[]): PortMap => {
  const whole = texts.filter((text) => !text.includes(":"));
  const { bindings } = parsePorts(
    texts.filter((text) => text.includes(":")),
    [],
  );
  const all: PortMap = {};
  for (const text of whole) all[text.includes("/") ? text : `${text}/tcp`] = [];
  return { ...bindings, ...all };
};

export const changePorts = async (
  context: CliContext,
  verb: "add" | "rm",
  id: string,
  texts: readonly string[],
): Promise<number> => {
  const body =
    verb === "add" ? { Add: parsePorts(texts, []).bindings } : { Remove: removals(texts) };
  const client = await context.client();
  const { Ports } = await client.call("portChange", { id, body });
  for (const [port, bindings] of Object.entries(Ports)) {
    for (const { HostIp, HostPort } of bindings ?? []) {
      const host = HostIp.includes(":") ? `[${HostIp}]` : HostIp;
      context.output.line(`${port} -> ${host}:${HostPort}`);
    }
  }
  return 0;
};
