import { forEachName } from "#cli/container/each.ts";
import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { bool } from "#cli/framework/flags.ts";

export const command = defineCommand({
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  flags: { force: bool("Force the removal of one or more volumes", "f") },
  args: AT_LEAST_ONE,
  completes: "volumes",
  run: async ({ context, flags, args }) => {
    const client = await context.client();
    client.beginRemoval();
    const { exitCode } = await forEachName(context, args, (name) =>
      client.call("volumeRemove", { name, query: { force: flags.force } }),
    );
    return exitCode;
  },
});
