import { defineCommand, ONE } from "#cli/framework/command.ts";
import { usageError } from "#cli/framework/errors.ts";
import { bool, enabled, list, text } from "#cli/framework/flags.ts";
import { parsePairs } from "#cli/run-options/checks.ts";
import { configurePools } from "#cli/network/pools.ts";

export const command = defineCommand({
  usage: "[OPTIONS] NETWORK",
  flags: {
    attachable: bool("Enable manual container attachment"),
    "aux-address": list("Auxiliary IPv4 or IPv6 addresses used by Network driver"),
    "config-from": text("The network from which to copy the configuration"),
    "config-only": bool("Create a configuration only network"),
    driver: text("Driver to manage the Network", "d", { shownDefault: '"bridge"' }),
    gateway: list("IPv4 or IPv6 Gateway for the master subnet"),
    ingress: bool("Create swarm routing-mesh network"),
    internal: bool("Restrict external access to the network"),
    "ip-range": list("Allocate container ip from a sub-range"),
    "ipam-driver": text("IP Address Management Driver", undefined, { shownDefault: '"default"' }),
    "ipam-opt": list("Set IPAM driver specific options"),
    ipv4: enabled("Enable or disable IPv4 address assignment"),
    ipv6: bool("Enable or disable IPv6 address assignment"),
    label: list("Set metadata on a network"),
    opt: list("Set driver specific options", "o"),
    scope: text("Control the network's scope"),
    subnet: list("Subnet in CIDR format that represents a network segment"),
  },
  args: ONE,
  run: async ({ context, flags, args, changed }) => {
    const [name = ""] = args;
    if (flags["config-only"] && flags["config-from"] !== undefined) {
      throw usageError("--config-only and --config-from cannot be used together");
    }
    const client = await context.client();
    const answer = await client.call("networkCreate", {
      body: {
        Name: name,
        Driver: flags.driver ?? "bridge",
        Internal: flags.internal,
        Attachable: flags.attachable,
        Ingress: flags.ingress,
        ConfigOnly: flags["config-only"],
        Options: parsePairs(flags.opt, ""),
        Labels: parsePairs(flags.label, ""),
        IPAM: {
          Driver: flags["ipam-driver"] ?? "default",
          Options: parsePairs(flags["ipam-opt"], ""),
          Config: configurePools({
            subnets: flags.subnet,
            ranges: flags["ip-range"],
            gateways: flags.gateway,
            auxiliary: parsePairs(flags["aux-address"], ""),
          }),
        },
        ...(changed.has("ipv4") ? { EnableIPv4: flags.ipv4 } : {}),
        ...(changed.has("ipv6") ? { EnableIPv6: flags.ipv6 } : {}),
        ...(flags.scope === undefined ? {} : { Scope: flags.scope }),
        ...(flags["config-from"] === undefined
          ? {}
          : { ConfigFrom: { Network: flags["config-from"] } }),
      },
    });
    if (answer.Warning) context.output.error(`WARNING: ${answer.Warning}`);
    context.output.line(answer.Id);
    return 0;
  },
});
