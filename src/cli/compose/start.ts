import { eachContainer } from "#cli/compose/each-container.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";

import { startContainer } from "#compose/containers.ts";
export const command = defineCommand({
  usage: "[SERVICE...]",
  flags: {},
  args: ANY,
  run: async ({ context, args }) => {
    await eachContainer(context, args, {
      words: ["Starting", "Started"],
      order: "dependencies",
      isMeant: (container) => container.state !== "running",
      act: (stack, container) => startContainer(stack, container.id, container.service),
    });
    return 0;
  },
});
