import { defineCommand, TWO } from "#cli/framework/command.ts";
import { bool, text } from "#cli/framework/flags.ts";
import { registryAuthHeader } from "#cli/registry/credentials.ts";
import { showProgress } from "#cli/terminal/progress.ts";

export const command = defineCommand({
  usage: "[OPTIONS] SOURCE[:TAG|@DIGEST] TARGET[:TAG]",
  description:
    "Copy an image from one registry to another as it is: every platform, nothing unpacked, the same digest.",
  flags: {
    platform: text("Copy the image for this platform only"),
    quiet: bool("Suppress verbose output", "q"),
  },
  args: TWO,
  examples: ["naru copy alpine:3.20 localhost:5000/alpine:3.20"],
  run: async ({ context, flags, args }) => {
    const [source = "", target = ""] = args;
    const client = await context.client();
    const auth = (await registryAuthHeader(context, target))["X-Registry-Auth"];
    const response = await client.call("imageCopy", {
      query: { source, target, platform: flags.platform },
      headers: {
        ...(await registryAuthHeader(context, source)),
        ...(auth === undefined ? {} : { "X-Registry-Auth-Target": auth }),
      },
    });
    await showProgress(response.body, {
      output: context.output,
      stream: "stdout",
      isQuiet: flags.quiet,
    });
    return 0;
  },
});
