import { defineCommand, NONE } from "#cli/framework/command.ts";
import { exitError } from "#cli/framework/errors.ts";
import { bool, list, text } from "#cli/framework/flags.ts";
import { showProgress } from "#cli/terminal/progress.ts";
import { uploadFrom } from "#cli/terminal/save-stream.ts";
import { isInputTerminal } from "#cli/terminal/stdin.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: {
    input: text("Read from tar archive file, instead of STDIN", "i", { completes: "files" }),
    platform: list("Load only the given platform"),
    quiet: bool("Suppress the load output", "q"),
  },
  args: NONE,
  run: async ({ context, flags }) => {
    if (flags.input === undefined && (await isInputTerminal())) {
      throw exitError(1, "requested load from stdin, but stdin is empty");
    }
    const body = await uploadFrom(flags.input);
    const client = await context.client();
    const isQuiet = flags.quiet || !(await context.output.isTerminal("stdout"));
    const response = await client.call("imageLoad", {
      query: {
        quiet: isQuiet,
        ...(flags.platform.length > 0 ? { platform: flags.platform } : {}),
      },
      headers: { "Content-Type": "application/x-tar" },
      body,
    });
    await showProgress(response.body, { output: context.output, stream: "stdout" });
    return 0;
  },
});
