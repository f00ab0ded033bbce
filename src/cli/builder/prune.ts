import { defineCommand, NONE } from "#cli/framework/command.ts";
import { bool, filter, text } from "#cli/framework/flags.ts";
import { parseRam } from "#cli/format/units.ts";
import { pruneWith, queryFor } from "#cli/prune.ts";

const SPACE = ["keep-storage", "max-used-space", "min-free-space", "reserved-space"] as const;

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: {
    all: bool("Remove also what images still stand on", "a"),
    filter: filter('Provide filter values (e.g. "until=24h")', ""),
    force: bool("Do not prompt for confirmation", "f"),
    "keep-storage": text("Amount of disk space to keep for cache"),
    "max-used-space": text("Amount of disk space that the cache may take"),
    "min-free-space": text("Amount of disk space that shall be free"),
    "reserved-space": text("Amount of disk space that stays for cache"),
  },
  args: NONE,
  run: async ({ context, flags }) => {
    const client = await context.client();
    const space = Object.fromEntries(
      SPACE.flatMap((name) => {
        const text = flags[name];
        return text === undefined ? [] : [[name, parseRam(text)]];
      }),
    );
    const warning = flags.all
      ? "This will remove all build cache."
      : "This will remove all build cache that no image uses.";
    return pruneWith(context, warning, flags.force, () =>
      client.call("buildPrune", {
        query: {
          all: flags.all,
          ...space,
          ...queryFor(flags.filter),
        },
      }),
    );
  },
});
