import { eachContainer } from "#cli/compose/each-container.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { text, unsupported } from "#cli/framework/flags.ts";

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  flags: {
    "remove-orphans": unsupported("use naru compose down --remove-orphans"),
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
