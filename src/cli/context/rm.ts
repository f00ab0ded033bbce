import { removeContext } from "#client/context-store.ts";
import { readContext } from "#client/contexts.ts";
import { forEachName } from "#cli/container/each.ts";
import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { bool } from "#cli/framework/flags.ts";
import { editConfig } from "#cli/registry/config-file.ts";
import { hasCode, NaruError } from "#lib/errors.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTEXT [CONTEXT...]",
  flags: { force: bool("Remove a context that is in use, or not there, too", "f") },
  args: AT_LEAST_ONE,
  completes: "contexts",
  run: async ({ context, flags, args }) => {
    const { exitCode } = await forEachName(context, args, async (name) => {
      if (name === "default") {
        throw new NaruError("invalid_argument", 'context "default" cannot be removed');
      }
      try {
        await readContext(context.configFolder, name);
      } catch (error) {
        if (!hasCode(error, "not_found")) throw error;
        if (flags.force) return;
        throw new NaruError("not_found", `context "${name}" does not exist`, { cause: error });
      }
      if ((await context.config()).currentContext === name) {
        if (!flags.force) {
          throw new NaruError(
            "conflict",
            `context "${name}" is in use, set -f flag to force remove`,
          );
        }
        await editConfig(context, ({ currentContext: _before, ...rest }) => rest);
      }
      removeContext(context.configFolder, name);
    });
    return exitCode;
  },
});
