import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { bool, text } from "#cli/framework/flags.ts";
import { inspectObjects } from "#cli/inspect-objects.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  flags: {
    format: text('Format output: "json" or a Go template', "f"),
    size: bool("Display total file sizes", "s"),
  },
  args: AT_LEAST_ONE,
  completes: "containers",
  run: async ({ context, flags, args }) => {
    const client = await context.client();
    return inspectObjects(context, args, flags.format, (id) =>
      client.call("containerInspect", { id, query: { size: flags.size } }),
    );
  },
});
