import { defineCommand, TWO } from "#cli/framework/command.ts";
import { integer, list, text } from "#cli/framework/flags.ts";
import { parsePairs } from "#cli/run-options/checks.ts";

export const command = defineCommand({
  usage: "[OPTIONS] NETWORK CONTAINER",
  flags: {
    alias: list("Add network-scoped alias for the container"),
    "driver-opt": list("Driver options for the network"),
    "gw-priority": integer("Highest gw-priority provides the default gateway"),
    ip: text('IPv4 address (e.g., "172.30.100.104")'),
    ip6: text('IPv6 address (e.g., "2001:db8::33")'),
    link: list("Add link to another container"),
    "link-local-ip": list("Add a link-local address for the container"),
  },
  args: TWO,
  completes: "networks",
  run: async ({ context, flags, args }) => {
    const [id = "", container = ""] = args;
    const ipam = {
      ...(flags.ip === undefined ? {} : { IPv4Address: flags.ip }),
      ...(flags.ip6 === undefined ? {} : { IPv6Address: flags.ip6 }),
      ...(flags["link-local-ip"].length > 0 ? { LinkLocalIPs: [...flags["link-local-ip"]] } : {}),
    };
    const client = await context.client();
    await client.call("networkConnect", {
      id,
      body: {
        Container: container,
        EndpointConfig: {
          ...(Object.keys(ipam).length > 0 ? { IPAMConfig: ipam } : {}),
          ...(flags.alias.length > 0 ? { Aliases: [...flags.alias] } : {}),
          ...(flags.link.length > 0 ? { Links: [...flags.link] } : {}),
          ...(flags["driver-opt"].length > 0
            ? { DriverOpts: parsePairs(flags["driver-opt"], "") }
            : {}),
          ...(flags["gw-priority"] === undefined ? {} : { GwPriority: flags["gw-priority"] }),
        },
      },
    });
    return 0;
  },
});
