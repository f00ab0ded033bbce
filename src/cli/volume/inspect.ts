import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { bool, text } from "#cli/framework/flags.ts";
import { inspectObjects } from "#cli/inspect-objects.ts";

export const command = defineCommand({
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  flags: {
    format: text('Format output: "json" or a Go template', "f"),
    size: bool("Also show how much the volumes hold and who uses them", "s"),
  },
  args: AT_LEAST_ONE,
  completes: "volumes",
  run: async ({ context, flags, args }) => {
    const client = await context.client();
    return inspectObjects(context, args, flags.format, (name) =>
      client.call("volumeInspect", { name, query: { size: flags.size } }),
    );
  },
});
