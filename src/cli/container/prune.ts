import { defineCommand, NONE } from "#cli/framework/command.ts";
import { bool, filter } from "#cli/framework/flags.ts";
import { pruneWith, queryFor } from "#cli/prune.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: {
    filter: filter('Provide filter values (e.g. "until=<timestamp>")', ""),
    force: bool("Do not prompt for confirmation", "f"),
  },
  args: NONE,
  run: async ({ context, flags }) => {
    const client = await context.client();
    return pruneWith(context, "This will remove all stopped containers.", flags.force, () =>
      client.call("containerPrune", { query: queryFor(flags.filter) }),
    );
  },
});
