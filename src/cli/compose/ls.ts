import { renderListing } from "#cli/format/listing.ts";
import { usageError } from "#cli/framework/errors.ts";
import { defineCommand, NONE } from "#cli/framework/command.ts";
import { bool, filter, format } from "#cli/framework/flags.ts";
import { LABEL } from "#compose/labels.ts";
import type { ContainerSummary } from "#spec/docker/container.ts";

const statusOf = (containers: readonly ContainerSummary[]): string => {
  const counts = new Map<string, number>();
  for (const { State } of containers) counts.set(State, (counts.get(State) ?? 0) + 1);
  return [...counts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([state, count]) => `${state}(${String(count)})`)
    .join(", ");
};

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: {
    all: bool("Show projects without running containers too", "a"),
    filter: filter('Show projects of this name: "name=web"', undefined),
    format: format(),
    quiet: bool("Only display names", "q"),
  },
  args: NONE,
  run: async ({ context, flags }) => {
    const strange = Object.keys(flags.filter).find((key) => key !== "name");
    if (strange !== undefined) throw usageError(`--filter takes "name", not "${strange}"`);
    const client = await context.client();
    const found = await client.call("containerList", {
      query: { all: true, filters: { label: [LABEL.project, `${LABEL.oneOff}=False`] } },
    });
    const projects = new Map<string, ContainerSummary[]>();
    for (const container of found) {
      const name = container.Labels[LABEL.project] ?? "";
      projects.set(name, [...(projects.get(name) ?? []), container]);
    }
    const wanted = flags.filter["name"];
    const rows = [...projects]
      .filter(([name]) => wanted === undefined || wanted.some((word) => name.includes(word)))
      .filter(([, list]) => flags.all || list.some((container) => container.State === "running"))
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([Name, list]) => ({
        Name,
        Status: statusOf(list),
        ConfigFiles: [
          ...new Set(list.flatMap((item) => (item.Labels[LABEL.configFiles] ?? "").split(","))),
        ].join(","),
      }));
    if (flags.format === "json") {
      context.output.line(JSON.stringify(rows));
      return 0;
    }
    context.output.print(
      renderListing({
        defaultTemplate: "{{.Name}}\t{{.Status}}\t{{.ConfigFiles}}",
        headers: { Name: "NAME", Status: "STATUS", ConfigFiles: "CONFIG FILES" },
        rows,
        format: flags.format,
        quietField: flags.quiet ? "Name" : undefined,
      }),
    );
    return 0;
  },
});
