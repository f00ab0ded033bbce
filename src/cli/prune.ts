/** What the prune commands share: filters, the question, the report. */
import type { PruneResponse } from "#client/system-types.ts";
import type { CliContext } from "#cli/context.ts";
import type { FilterMap } from "#cli/framework/flags.ts";
import { humanSize } from "#cli/format/units.ts";
import { confirm } from "#cli/terminal/confirm.ts";

export const queryFor = (filters: FilterMap): { filters?: FilterMap } =>
  Object.keys(filters).length > 0 ? { filters } : {};

/** The lists of what went away, each with its title; empty when nothing did. */
export const describePruned = (answer: PruneResponse): string => {
  const sections: (readonly [string, readonly string[]])[] = [
    ["Deleted Containers:", answer.ContainersDeleted ?? []],
    ["Deleted Networks:", answer.NetworksDeleted ?? []],
    ["Deleted Volumes:", answer.VolumesDeleted ?? []],
    [
      "Deleted Images:",
      (answer.ImagesDeleted ?? []).map((item) =>
        item.Untagged === undefined
          ? `deleted: ${item.Deleted ?? ""}`
          : `untagged: ${item.Untagged}`,
      ),
    ],
    ["Deleted build cache objects:", answer.CachesDeleted ?? []],
  ];
  return sections
    .filter(([, names]) => names.length > 0)
    .map(([title, names]) => `${title}\n${names.join("\n")}\n\n`)
    .join("");
};

/** Asks unless forced, prunes, reports. Returns the exit code. */
export const pruneWith = async (
  context: CliContext,
  warning: string,
  isForced: boolean,
  prune: () => Promise<PruneResponse>,
): Promise<number> => {
  if (!isForced && !(await confirm(context, warning))) return 0;
  const answer = await prune();
  context.output.print(describePruned(answer));
  context.output.line(`Total reclaimed space: ${humanSize(answer.SpaceReclaimed ?? 0)}`);
  return 0;
};
