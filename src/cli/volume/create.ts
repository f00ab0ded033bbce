import { defineCommand, upTo } from "#cli/framework/command.ts";
import { usageError } from "#cli/framework/errors.ts";
import { list, text } from "#cli/framework/flags.ts";
import { parsePairs } from "#cli/run-options/checks.ts";

export const command = defineCommand({
  usage: "[OPTIONS] [VOLUME]",
  flags: {
    driver: text("Specify volume driver name", "d", { shownDefault: '"local"' }),
    label: list("Set metadata for a volume"),
    name: text("Specify volume name", undefined, { isHidden: true }),
    opt: list("Set driver specific options", "o"),
  },
  args: upTo(1),
  run: async ({ context, flags, args }) => {
    const [name] = args;
    if (name !== undefined && flags.name !== undefined) {
      throw usageError(
        "conflicting options: cannot specify a volume-name through both --name and as a positional arg",
      );
    }
    const chosen = name ?? flags.name;
    const client = await context.client();
    const volume = await client.call("volumeCreate", {
      body: {
        ...(chosen === undefined ? {} : { Name: chosen }),
        Driver: flags.driver ?? "local",
        DriverOpts: parsePairs(flags.opt, ""),
        Labels: parsePairs(flags.label, ""),
      },
    });
    context.output.line(volume.Name);
    return 0;
  },
});
