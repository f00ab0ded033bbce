import { eachContainer } from "#cli/compose/each-container.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";

export const command = defineCommand({
  usage: "[SERVICE...]",
  flags: {},
  args: ANY,
  run: async ({ context, args }) => {
    await eachContainer(context, args, {
      words: ["Unpausing", "Unpaused"],
      order: "none",
      isMeant: (container) => container.state === "paused",
      act: (stack, { id }) => stack.options.client.call("containerUnpause", { id }),
    });
    return 0;
  },
});
