import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";

import { forEachName } from "#cli/container/each.ts";

export const command = defineCommand({
  usage: "CONTAINER [CONTAINER...]",
  flags: {},
  args: AT_LEAST_ONE,
  completes: "containers",
  run: async ({ context, args }) => {
    const client = await context.client();
    const { exitCode } = await forEachName(context, args, (id) =>
      client.call("containerUnpause", { id }),
    );
    return exitCode;
  },
});
