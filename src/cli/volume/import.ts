import { defineCommand } from "#cli/framework/command.ts";
import { exitError } from "#cli/framework/errors.ts";
import { withByteProgress } from "#cli/terminal/byte-progress.ts";
import { uploadFrom } from "#cli/terminal/save-stream.ts";
import { errorText } from "#cli/report.ts";
import { isInputTerminal } from "#cli/terminal/stdin.ts";
import { hasCode } from "#lib/errors.ts";

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
    try {
      await client.call("volumeImport", { name, headers, body });
    } catch (error) {
      if (!hasCode(error, "not_found")) throw error;
      throw exitError(1, `${errorText(error)}: make it with 'naru volume create ${name}'`);
    }
    return 0;
  },
});
