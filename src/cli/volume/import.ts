import { defineCommand } from "#cli/framework/command.ts";
import { exitError } from "#cli/framework/errors.ts";
import { withByteProgress } from "#cli/terminal/byte-progress.ts";
import { uploadFrom } from "#cli/terminal/save-stream.ts";
import { isInputTerminal } from "#cli/terminal/stdin.ts";

export const command = defineCommand({
  usage: "VOLUME [FILE|-]",
  flags: {},
  args: { min: 1, max: 2 },
  completes: "volumes",
  run: async ({ context, args }) => {
    const [name = "", path] = args;
    if ((path === undefined || path === "-") && (await isInputTerminal())) {
      throw exitError(1, "requested import from stdin, but stdin is a terminal: name a file");
    }
    const client = await context.client();
    const body = withByteProgress(context, `Importing ${name}`, await uploadFrom(path));
    const headers = { "Content-Type": "application/x-tar" };
    await client.call("volumeImport", { name, headers, body });
    return 0;
  },
});
