import { eachContainer } from "#cli/compose/each-container.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { integer } from "#cli/framework/flags.ts";
import { stopContainer } from "#compose/containers.ts";
export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  flags: { timeout: integer("Seconds that containers get to stop", "t") },
  args: ANY,
  run: async ({ context, flags, args }) => {
    await eachContainer(context, args, {
      stopTimeout: flags.timeout,
      words: ["Stopping", "Stopped"],
      order: "dependents",
      isMeant: (container) => container.state === "running" || container.state === "restarting",
      act: stopContainer,
    });
    return 0;
  },
});
