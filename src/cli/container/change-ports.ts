/** `naru port add` and `naru port rm`: published ports of a container that exists. */
import type { CliContext } from "#cli/context.ts";
import { parsePorts } from "#cli/run-options/ports.ts";
import type { PortMap } from "#spec/docker/host-config.ts";
import { parsePortRange } from "#spec/docker/ports.ts";

/** Container ports: "80", "80/udp", "80-82". */
const keysOf = (text: string): string[] => {
  const [numbers = "", protocol = "tcp"] = text.split("/");
  const { first, last } = parsePortRange(numbers);
  return Array.from({ length: last - first + 1 }, (_, at) => `${String(first + at)}/${protocol}`);
};

/** "80", "80/udp", "80-82" name every binding of the ports; "8080:80" one. */
export const removals = (texts: readonly string[]): PortMap => {
  const whole = texts.filter((text) => !text.includes(":"));
  const { bindings } = parsePorts(
    texts.filter((text) => text.includes(":")),
    [],
  );
  const all: PortMap = {};
  for (const key of whole.flatMap(keysOf)) all[key] = [];
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
