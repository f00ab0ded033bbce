import { defineCommand, ONE } from "#cli/framework/command.ts";
import { text } from "#cli/framework/flags.ts";
import { checkTarget, saveStream } from "#cli/terminal/save-stream.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER",
  flags: { output: text("Write to a file, instead of STDOUT", "o", { completes: "files" }) },
  args: ONE,
  completes: "containers",
  run: async ({ context, flags, args }) => {
    const [id = ""] = args;
    await checkTarget(context, flags.output);
    const client = await context.client();
    const response = await client.call("containerExport", { id });
    await saveStream(context, response.body, flags.output);
    return 0;
  },
});
