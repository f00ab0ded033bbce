import { chooseContainers } from "#cli/compose/chosen.ts";
import { delegate } from "#cli/compose/delegate.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool, format } from "#cli/framework/flags.ts";

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  flags: {
    all: bool("Show stopped containers too", "a"),
    format: format(),
    "no-stream": bool("Show the first result only"),
    "no-trunc": bool("Do not truncate output"),
  },
  args: ANY,
  run: async ({ context, flags, args }) => {
    const { stack, containers } = await chooseContainers(context, args, { isOnlyShown: true });
    stack.close();
    const ids = containers
      .filter((container) => flags.all || container.state === "running")
      .map((container) => container.name);
    if (ids.length === 0) return 0;
    const { command: stats } = await import("#cli/container/stats.ts");
    return delegate(context, stats, ids, { ...flags });
  },
});
