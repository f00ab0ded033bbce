import { defineCommand, NONE } from "#cli/framework/command.ts";
import { bool, filter, text } from "#cli/framework/flags.ts";
import { parseRam } from "#cli/format/units.ts";
import { pruneWith, queryFor } from "#cli/prune.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: {
    all: bool("Remove also what images still stand on", "a"),
    filter: filter('Provide filter values (e.g. "until=24h")', ""),
    force: bool("Do not prompt for confirmation", "f"),
    "keep-storage": text("Amount of disk space to keep for cache"),
  },
  args: NONE,
  run: async ({ context, flags }) => {
    const client = await context.client();
    const keep = flags["keep-storage"];
    const warning = flags.all
      ? "This will remove all build cache."
      : "This will remove all build cache that no image uses.";
    return pruneWith(context, warning, flags.force, () =>
      client.call("buildPrune", {
        query: {
          all: flags.all,
          ...(keep === undefined ? {} : { "keep-storage": parseRam(keep) }),
          ...queryFor(flags.filter),
        },
      }),
    );
  },
});
