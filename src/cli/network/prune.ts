import { defineCommand, NONE } from "#cli/framework/command.ts";
import { bool, filter } from "#cli/framework/flags.ts";
import { describePruned, queryFor } from "#cli/prune.ts";
import { confirm } from "#cli/terminal/confirm.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: {
    filter: filter('Provide filter values (e.g. "until=<timestamp>")', ""),
    force: bool("Do not prompt for confirmation", "f"),
  },
  args: NONE,
  run: async ({ context, flags }) => {
    const warning = "This will remove all custom networks not used by at least one container.";
    if (!flags.force && !(await confirm(context, warning))) return 0;
    const client = await context.client();
    const answer = await client.call("networkPrune", { query: queryFor(flags.filter) });
    context.output.print(describePruned(answer));
    return 0;
  },
});
