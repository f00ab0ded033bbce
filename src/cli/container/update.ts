import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { usageError } from "#cli/framework/errors.ts";
import { text } from "#cli/framework/flags.ts";
import { forEachName } from "#cli/container/each.ts";
import { parseRestart } from "#cli/run-options/checks.ts";
import { limitFlags } from "#cli/run-options/flags.ts";
import { limits } from "#cli/run-options/request.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: {
    ...limitFlags,
    restart: text("Restart policy to apply when a container exits", undefined, {
      completes: ["no", "always", "unless-stopped", "on-failure"],
    }),
  },
  args: AT_LEAST_ONE,
  completes: "containers",
  run: async ({ context, flags, args, changed }) => {
    if (changed.size === 0) {
      throw usageError("you must provide one or more flags when using this command");
    }
    const body = {
      ...limits(flags),
      ...(flags.restart === undefined ? {} : { RestartPolicy: parseRestart(flags.restart) }),
    };
    const client = await context.client();
    const warnings: string[] = [];
    const { exitCode } = await forEachName(context, args, async (id) => {
      const answer = await client.call("containerUpdate", { id, body });
      warnings.push(...(answer.Warnings ?? []));
    });
    for (const warning of warnings) context.output.error(`WARNING: ${warning}`);
    return exitCode;
  },
});
