import { renderListing } from "#cli/format/listing.ts";
import { defineCommand, NONE } from "#cli/framework/command.ts";
import { format } from "#cli/framework/flags.ts";
import type { PortReach } from "#spec/docker/port-reach.ts";

const SCOPES: Readonly<Record<PortReach["Scope"], string>> = {
  machine: "this machine only",
  address: "who reaches the address",
  everywhere: "everyone who reaches this machine",
};

const hostAddress = ({ HostIp, HostPort }: PortReach): string =>
  HostIp.includes(":") ? `[${HostIp}]:${HostPort}` : `${HostIp}:${HostPort}`;

const row = (port: PortReach) => ({
  Container: () => port.Container,
  ID: () => port.ContainerID.slice(0, 12),
  Host: () => hostAddress(port),
  Port: () => port.Port,
  Target: () => port.Target,
  Network: () => port.Network,
  Reach: () => SCOPES[port.Scope],
  Addresses: () => port.Addresses.join(", "),
  Local: () => port.Local.join(", "),
  Notes: () => port.Notes.join("; "),
});

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: { format: format() },
  args: NONE,
  description: "Every published port of a running container, and who can reach it in fact.",
  run: async ({ context, flags }) => {
    const client = await context.client();
    const ports = await client.call("portList", {});
    const sorted = ports.toSorted(
      (a, b) => a.Container.localeCompare(b.Container) || a.Port.localeCompare(b.Port),
    );
    context.output.print(
      renderListing({
        defaultTemplate:
          "{{.Container}}\t{{.Host}}\t{{.Port}}\t{{.Local}}\t{{.Reach}}\t{{.Addresses}}",
        headers: {
          Container: "CONTAINER",
          ID: "ID",
          Host: "HOST",
          Port: "PORT",
          Target: "TARGET",
          Network: "NETWORK",
          Reach: "REACHABLE BY",
          Addresses: "AT",
          Local: "HERE",
          Notes: "NOTES",
        },
        rows: sorted.map(row),
        format: flags.format,
        quietField: undefined,
      }),
    );
    const notes = new Set(ports.flatMap(({ Notes }) => Notes));
    if (flags.format === undefined) for (const note of notes) context.output.error(`note: ${note}`);
    return 0;
  },
});
