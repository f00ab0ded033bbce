import { defineCommand, ONE } from "#cli/framework/command.ts";
import { bool, text } from "#cli/framework/flags.ts";
import { showProgress } from "#cli/terminal/progress.ts";

export const command = defineCommand({
  usage: "[OPTIONS] NAME:RELEASE",
  description:
    "Makes a real base image from the packages of a distribution's mirror, for machines that " +
    "reach no image registry. The image gets the name it is asked for by.",
  examples: ["naru image bootstrap debian:bookworm"],
  flags: {
    mirror: text("Package mirror to take the packages from"),
    quiet: bool("Suppress the progress output", "q"),
  },
  args: ONE,
  run: async ({ context, flags, args }) => {
    const [ref = ""] = args;
    const client = await context.client();
    const response = await client.call("imageBootstrap", { query: { ref, mirror: flags.mirror } });
    await showProgress(response.body, {
      output: context.output,
      stream: flags.quiet ? "stderr" : "stdout",
      isQuiet: flags.quiet,
    });
    if (flags.quiet) context.output.line(ref);
    return 0;
  },
});
