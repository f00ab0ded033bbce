import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { usageError } from "#cli/framework/errors.ts";
import { NaruError } from "#lib/errors.ts";
import type { PortBinding } from "#spec/docker/host-config.ts";

const address = ({ HostIp, HostPort }: PortBinding): string =>
  HostIp.includes(":") ? `[${HostIp}]:${HostPort}` : `${HostIp}:${HostPort}`;

export const command = defineCommand({
  usage: "CONTAINER [PRIVATE_PORT[/PROTO]] | add CONTAINER PUBLISH... | rm CONTAINER PORT...",
  flags: {},
  args: AT_LEAST_ONE,
  description:
    "Show what a container publishes. With add and rm: publish more or fewer of its ports, while it runs too.",
  examples: ["naru port web 80", "naru port add web 8080:80", "naru port rm web 8080:80"],
  completes: "running",
  run: async ({ context, args }) => {
    const [id = "", wanted, ...more] = args;
    // A container may be called "add" too: with two words it is meant.
    if (more.length > 0 && wanted !== undefined) {
      if (id !== "add" && id !== "rm") throw usageError(`unknown verb "${id}": use add or rm`);
      const { changePorts } = await import("#cli/container/change-ports.ts");
      return changePorts(context, id, wanted, more);
    }
    const client = await context.client();
    const { NetworkSettings } = await client.call("containerInspect", { id });
    const ports = NetworkSettings.Ports;
    if (wanted !== undefined) {
      const key = wanted.includes("/") ? wanted : `${wanted}/tcp`;
      const bindings = ports[key] ?? [];
      if (bindings.length === 0) {
        throw new NaruError("not_found", `Error: No public port '${wanted}' published for ${id}`);
      }
      for (const binding of bindings) context.output.line(address(binding));
      return 0;
    }
    const rows = Object.entries(ports).flatMap(([key, bindings]) =>
      (bindings ?? []).map((binding) => ({ key, text: `${key} -> ${address(binding)}` })),
    );
    rows.sort((a, b) => Number.parseInt(a.key, 10) - Number.parseInt(b.key, 10));
    for (const { text } of rows) context.output.line(text);
    return 0;
  },
});
