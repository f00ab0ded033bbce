import { chooseContainers } from "#cli/compose/chosen.ts";
import { ago, formatLocal } from "#cli/format/time.ts";
import { formatPorts } from "#cli/container/ports-column.ts";
import { ellipsis, formatLabels } from "#cli/container/rows.ts";
import { renderListing } from "#cli/format/listing.ts";
import type { Row } from "#cli/format/listing.ts";
import { usageError } from "#cli/framework/errors.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool, enabled, filter, format, list } from "#cli/framework/flags.ts";
import { quote } from "#cli/template/values.ts";
import type { ObservedContainer } from "#compose/compose.ts";

const TEMPLATE =
  "{{.Name}}\t{{.Image}}\t{{.Command}}\t{{.Service}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}";

const HEADERS = {
  ID: "CONTAINER ID",
  Name: "NAME",
  Names: "NAMES",
  Image: "IMAGE",
  Command: "COMMAND",
  Service: "SERVICE",
  Project: "PROJECT",
  RunningFor: "CREATED",
  CreatedAt: "CREATED AT",
  State: "STATE",
  Status: "STATUS",
  Health: "HEALTH",
  ExitCode: "EXIT CODE",
  Ports: "PORTS",
  Labels: "LABELS",
  Mounts: "MOUNTS",
  LocalVolumes: "LOCAL VOLUMES",
  Networks: "NETWORKS",
} as const;

const rowOf = (container: ObservedContainer, project: string, isTruncated: boolean): Row => ({
  ID: isTruncated ? container.id.slice(0, 12) : container.id,
  Name: container.name,
  Names: container.name,
  Image: container.image,
  Command: quote(isTruncated ? ellipsis(container.command, 20) : container.command),
  Service: container.service,
  // Nobody asks for it, so docker compose does not know it either.
  Size: "0B",
  Project: project,
  RunningFor: ago(container.created),
  CreatedAt: formatLocal(new Date(container.created * 1000)),
  State: container.state,
  Status: container.status,
  Health: container.health === "none" ? "" : container.health,
  ExitCode: container.exitCode ?? 0,
  Ports: formatPorts([...container.ports]),
  Publishers: container.ports.map((port) => ({
    URL: port.IP ?? "",
    TargetPort: port.PrivatePort,
    PublishedPort: port.PublicPort ?? 0,
    Protocol: port.Type,
  })),
  Labels: formatLabels(container.labels),
  Mounts: container.mounts.map((mount) => mount.Name ?? mount.Source).join(","),
  LocalVolumes: String(container.mounts.filter((mount) => mount.Driver === "local").length),
  Networks: container.networkNames.join(","),
});

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  flags: {
    all: bool("Show stopped containers too, and those of 'run'", "a"),
    filter: filter('Show containers with this state: "status=running"'),
    format: format(),
    "no-trunc": bool("Don't truncate output"),
    orphans: enabled("Show containers of services that are not in the files"),
    quiet: bool("Only display container IDs", "q"),
    services: bool("Only display names of services"),
    status: list("Show containers in these states"),
  },
  args: ANY,
  run: async ({ context, flags, args }) => {
    const { stack, containers } = await chooseContainers(context, args, {
      hasOneOff: flags.all,
      isOnlyShown: true,
    });
    using _owned = stack;
    const strange = Object.keys(flags.filter).find((key) => key !== "status");
    if (strange !== undefined) throw usageError(`--filter takes "status", not "${strange}"`);
    const isDeclared = (service: string): boolean => service in stack.model.services;
    const states = [...flags.status, ...(flags.filter["status"] ?? [])];
    const listed = containers.filter(({ service }) => flags.orphans || isDeclared(service));
    const shown = listed.filter((container) =>
      states.length > 0
        ? states.includes(container.state)
        : flags.all || container.state === "running" || container.state === "paused",
    );
    if (flags.services) {
      for (const name of new Set(shown.map((container) => container.service))) {
        context.output.line(name);
      }
      return 0;
    }
    context.output.print(
      renderListing({
        defaultTemplate: TEMPLATE,
        headers: HEADERS,
        rows: shown.map((item) =>
          rowOf(item, stack.model.name, !flags["no-trunc"] && !flags.quiet),
        ),
        format: flags.format,
        quietField: flags.quiet ? "ID" : undefined,
      }),
    );
    return 0;
  },
});
