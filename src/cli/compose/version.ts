import { defineCommand, NONE } from "#cli/framework/command.ts";
import { bool, text } from "#cli/framework/flags.ts";
import { VERSION } from "#lib/version.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: {
    format: text('Format the output: "pretty" or "json"', "f", { completes: ["pretty", "json"] }),
    short: bool("Print the version number alone"),
  },
  args: NONE,
  run: ({ context, flags }) => {
    if (flags.short) context.output.line(VERSION);
    else if (flags.format === "json") context.output.line(JSON.stringify({ version: VERSION }));
    else context.output.line(`naru compose version ${VERSION}`);
    return Promise.resolve(0);
  },
});
