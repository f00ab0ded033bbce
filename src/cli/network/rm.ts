import { forEachName, NOTHING } from "#cli/container/each.ts";
import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { bool } from "#cli/framework/flags.ts";
import { errorText } from "#cli/report.ts";
import { hasCode } from "#lib/errors.ts";

export const command = defineCommand({
  usage: "NETWORK [NETWORK...]",
  flags: { force: bool("Do not error if the network does not exist", "f") },
  args: AT_LEAST_ONE,
  completes: "networks",
  run: async ({ context, flags, args }) => {
    const client = await context.client();
    const { exitCode } = await forEachName(context, args, async (id) => {
      try {
        await client.call("networkRemove", { id });
      } catch (error) {
        if (!flags.force || !hasCode(error, "not_found")) throw error;
        context.output.error(errorText(error));
        return NOTHING;
      }
      return id;
    });
    return exitCode;
  },
});
