import { eachContainer } from "#cli/compose/each-container.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool, text } from "#cli/framework/flags.ts";

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  flags: {
    "remove-orphans": bool("Accepted for compatibility", undefined, { isHidden: true }),
    signal: text("The signal to send", "s", { shownDefault: "SIGKILL" }),
  },
  args: ANY,
  run: async ({ context, flags, args }) => {
    await eachContainer(context, args, {
      words: ["Killing", "Killed"],
      order: "none",
      isMeant: (container) => container.state === "running" || container.state === "paused",
      act: (stack, { id }) =>
        stack.options.client.call("containerKill", { id, query: { signal: flags.signal } }),
    });
    return 0;
  },
});
