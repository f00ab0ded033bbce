import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { list, text } from "#cli/framework/flags.ts";
import { checkTarget, saveStream } from "#cli/terminal/save-stream.ts";

export const command = defineCommand({
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  flags: {
    output: text("Write to a file, instead of STDOUT", "o", { completes: "files" }),
    platform: list("Save only the given platform"),
  },
  args: AT_LEAST_ONE,
  completes: "images",
  run: async ({ context, flags, args }) => {
    await checkTarget(context, flags.output);
    const client = await context.client();
    const response = await client.call("imageSave", {
      query: { names: args, ...(flags.platform.length > 0 ? { platform: flags.platform } : {}) },
    });
    await saveStream(context, response.body, flags.output);
    return 0;
  },
});
