import { defineCommand } from "#cli/framework/command.ts";
import { NaruError } from "#lib/errors.ts";
import type { PortBinding } from "#spec/docker/host-config.ts";

const address = ({ HostIp, HostPort }: PortBinding): string =>
  HostIp.includes(":") ? `[${HostIp}]:${HostPort}` : `${HostIp}:${HostPort}`;

export const command = defineCommand({
  usage: "CONTAINER [PRIVATE_PORT[/PROTO]]",
  flags: {},
  args: { min: 1, max: 2 },
  completes: "running",
  run: async ({ context, args }) => {
    const [id = "", wanted] = args;
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
