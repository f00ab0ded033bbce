import { defineCommand, ONE } from "#cli/framework/command.ts";
import { bool, text } from "#cli/framework/flags.ts";
import { withByteProgress } from "#cli/terminal/byte-progress.ts";
import { checkTarget, saveStream } from "#cli/terminal/save-stream.ts";

export const command = defineCommand({
  usage: "[OPTIONS] VOLUME",
  flags: {
    compress: bool("Compress with zstd"),
    live: bool("Let containers write to the volume while it is read"),
    output: text("Write to a file, instead of STDOUT", "o", { completes: "files" }),
  },
  args: ONE,
  completes: "volumes",
  run: async ({ context, flags, args }) => {
    const [name = ""] = args;
    await checkTarget(context, flags.output);
    const client = await context.client();
    const response = await client.call("volumeExport", {
      name,
      query: { format: flags.compress ? "tar.zst" : "tar", pause: flags.live ? "0" : "1" },
    });
    const bytes = withByteProgress(context, `Exporting ${name}`, response.body);
    await saveStream(context, bytes, flags.output);
    return 0;
  },
});
