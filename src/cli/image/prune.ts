import { defineCommand, NONE } from "#cli/framework/command.ts";
import { bool, filter } from "#cli/framework/flags.ts";
import { pruneWith } from "#cli/prune.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: {
    all: bool("Remove all unused images, not just dangling ones", "a"),
    filter: filter('Provide filter values (e.g. "until=<timestamp>")', ""),
    force: bool("Do not prompt for confirmation", "f"),
  },
  args: NONE,
  run: async ({ context, flags }) => {
    const client = await context.client();
    const filters = { ...flags.filter, dangling: [String(!flags.all)] };
    const warning = flags.all
      ? "This will remove all images without at least one container associated to them."
      : "This will remove all dangling images.";
    return pruneWith(context, warning, flags.force, () =>
      client.call("imagePrune", { query: { filters } }),
    );
  },
});
