import { eachContainer } from "#cli/compose/each-container.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";

export const command = defineCommand({
  usage: "[SERVICE...]",
  flags: {},
  args: ANY,
  run: async ({ context, args }) => {
    await eachContainer(context, args, {
      words: ["Pausing", "Paused"],
      order: "none",
      isMeant: (container) => container.state === "running",
      act: (stack, { id }) => stack.options.client.call("containerPause", { id }),
    });
    return 0;
  },
});
