import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { integer, text } from "#cli/framework/flags.ts";
import { forEachName } from "#cli/container/each.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: {
    signal: text("Signal to send to the container", "s"),
    timeout: integer("Seconds to wait before killing the container", "t", { aliases: ["time"] }),
  },
  args: AT_LEAST_ONE,
  completes: "containers",
  run: async ({ context, flags, args }) => {
    const client = await context.client();
    const { exitCode } = await forEachName(context, args, (id) =>
      client.call("containerRestart", { id, query: { signal: flags.signal, t: flags.timeout } }),
    );
    return exitCode;
  },
});
