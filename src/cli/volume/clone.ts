import { defineCommand, TWO } from "#cli/framework/command.ts";
import { bool, list } from "#cli/framework/flags.ts";
import { parsePairs } from "#cli/run-options/checks.ts";

export const command = defineCommand({
  usage: "[OPTIONS] VOLUME NEW_NAME",
  flags: {
    label: list("Set metadata for the copy, instead of the original's"),
    live: bool("Let containers write to the volume while it is copied"),
  },
  args: TWO,
  completes: "volumes",
  run: async ({ context, flags, args }) => {
    const [name = "", newName = ""] = args;
    const client = await context.client();
    const volume = await client.call("volumeClone", {
      name,
      query: { pause: flags.live ? "0" : "1" },
      body: {
        Name: newName,
        ...(flags.label.length === 0 ? {} : { Labels: parsePairs(flags.label, "") }),
      },
    });
    context.output.line(volume.Name);
    return 0;
  },
});
