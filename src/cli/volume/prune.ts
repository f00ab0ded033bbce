import { defineCommand, NONE } from "#cli/framework/command.ts";
import { bool, filter } from "#cli/framework/flags.ts";
import { pruneWith, queryFor } from "#cli/prune.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: {
    all: bool("Remove all unused volumes, not just anonymous ones", "a"),
    filter: filter('Provide filter values (e.g. "label=<label>")', ""),
    force: bool("Do not prompt for confirmation", "f"),
  },
  args: NONE,
  run: async ({ context, flags }) => {
    const client = await context.client();
    const filters = flags.all ? { ...flags.filter, all: ["true"] } : flags.filter;
    const warning = flags.all
      ? "This will remove all local volumes not used by at least one container."
      : "This will remove anonymous local volumes not used by at least one container.";
    return pruneWith(context, warning, flags.force, () =>
      client.call("volumePrune", { query: queryFor(filters) }),
    );
  },
});
