import { formatLabels, shortId } from "#cli/container/rows.ts";
import { renderListing } from "#cli/format/listing.ts";
import type { Row } from "#cli/format/listing.ts";
import { formatUtc } from "#cli/format/time.ts";
import { defineCommand, NONE } from "#cli/framework/command.ts";
import { bool, filter, format } from "#cli/framework/flags.ts";
import type { NetworkResponse } from "#spec/docker/network.ts";

const row = (network: NetworkResponse, isTruncated: boolean): Row => ({
  ID: () => (isTruncated ? shortId(network.Id) : network.Id),
  Name: () => network.Name,
  Driver: () => network.Driver,
  Scope: () => network.Scope,
  IPv4: () => String(network.EnableIPv4 ?? true),
  IPv6: () => String(network.EnableIPv6),
  Internal: () => String(network.Internal),
  Labels: () => formatLabels(network.Labels),
  Label: (name: unknown) => network.Labels?.[String(name)] ?? "",
  CreatedAt: () => formatUtc(network.Created),
});

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: {
    filter: filter('Provide filter values (e.g. "driver=bridge")'),
    format: format(),
    "no-trunc": bool("Do not truncate the output"),
    quiet: bool("Only display network IDs", "q"),
  },
  args: NONE,
  run: async ({ context, flags }) => {
    const client = await context.client();
    const networks = await client.call("networkList", {
      query: Object.keys(flags.filter).length > 0 ? { filters: flags.filter } : {},
    });
    context.output.print(
      renderListing({
        defaultTemplate: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
        headers: {
          ID: "NETWORK ID",
          Name: "NAME",
          Driver: "DRIVER",
          Scope: "SCOPE",
          IPv4: "IPV4",
          IPv6: "IPV6",
          Internal: "INTERNAL",
          Labels: "LABELS",
          CreatedAt: "CREATED AT",
        },
        raw: { network_id: "ID", name: "Name", driver: "Driver", scope: "Scope" },
        rows: networks
          .toSorted((a, b) => a.Name.localeCompare(b.Name))
          .map((network) => row(network, !flags["no-trunc"])),
        format: flags.format ?? (flags.quiet ? undefined : (await context.config()).networksFormat),
        quietField: flags.quiet ? "ID" : undefined,
      }),
    );
    return 0;
  },
});
