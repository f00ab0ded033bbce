import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { text } from "#cli/framework/flags.ts";
import { inspectObjects } from "#cli/inspect-objects.ts";

export const command = defineCommand({
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  flags: { format: text('Format output: "json" or a Go template', "f") },
  args: AT_LEAST_ONE,
  completes: "volumes",
  run: async ({ context, flags, args }) => {
    const client = await context.client();
    return inspectObjects(context, args, flags.format, (name) =>
      client.call("volumeInspect", { name }),
    );
  },
});
