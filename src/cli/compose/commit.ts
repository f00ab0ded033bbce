import { chooseOne } from "#cli/compose/chosen.ts";
import { delegate } from "#cli/compose/delegate.ts";
import { defineCommand } from "#cli/framework/command.ts";
import { enabled, integer, list, text } from "#cli/framework/flags.ts";

export const command = defineCommand({
  usage: "[OPTIONS] SERVICE [REPOSITORY[:TAG]]",
  description: "Makes an image of a service's container as it is now.",
  flags: {
    author: text('Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")', "a"),
    change: list("Apply Dockerfile instruction to the created image", "c"),
    index: integer("The container with this number"),
    message: text("Commit message", "m"),
    pause: enabled("Pause container during commit", { short: "p" }),
  },
  args: { min: 1, max: 2 },
  run: async ({ context, flags, args }) => {
    const [service = "", ...reference] = args;
    const { index, ...others } = flags;
    const { stack, container } = await chooseOne(context, service, index);
    stack.close();
    const { command: commit } = await import("#cli/container/commit.ts");
    return delegate(context, commit, [container.id, ...reference], others);
  },
});
