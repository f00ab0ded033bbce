import { defineCommand, upTo } from "#cli/framework/command.ts";
import { exitError } from "#cli/framework/errors.ts";
import { text } from "#cli/framework/flags.ts";
import { withByteProgress } from "#cli/terminal/byte-progress.ts";
import { uploadFrom } from "#cli/terminal/save-stream.ts";
import { isInputTerminal } from "#cli/terminal/stdin.ts";

export const command = defineCommand({
  usage: "[OPTIONS] [NAME]",
  flags: {
    input: text("Read from a file, instead of STDIN", "i", { completes: "files" }),
  },
  args: upTo(1),
  run: async ({ context, flags, args }) => {
    if (flags.input === undefined && (await isInputTerminal())) {
      throw exitError(1, "requested restore from stdin, but stdin is a terminal: use --input");
    }
    const client = await context.client();
    const volume = await client.call("volumeRestore", {
      query: { name: args[0] },
      headers: { "Content-Type": "application/zstd" },
      body: withByteProgress(context, "Restoring", await uploadFrom(flags.input)),
    });
    context.output.line(volume.Name);
    return 0;
  },
});
