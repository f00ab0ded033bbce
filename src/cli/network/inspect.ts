import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { bool, text } from "#cli/framework/flags.ts";
import { inspectObjects } from "#cli/inspect-objects.ts";

export const command = defineCommand({
  usage: "[OPTIONS] NETWORK [NETWORK...]",
  flags: {
    format: text('Format output: "json" or a Go template', "f"),
    verbose: bool("Verbose output for diagnostics", "v"),
  },
  args: AT_LEAST_ONE,
  completes: "networks",
  run: async ({ context, flags, args }) => {
    const client = await context.client();
    return inspectObjects(context, args, flags.format, (id) =>
      client.call("networkInspect", { id, query: { verbose: flags.verbose } }),
    );
  },
});
