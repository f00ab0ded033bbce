import { findProject } from "#cli/compose/project.ts";
import { delegate } from "#cli/compose/delegate.ts";
import { defineCommand, NONE } from "#cli/framework/command.ts";
import { bool, format } from "#cli/framework/flags.ts";
import { LABEL } from "#compose/labels.ts";

export const command = defineCommand({
  usage: "[OPTIONS]",
  flags: { format: format(), quiet: bool("Only display names", "q") },
  args: NONE,
  run: async ({ context, flags }) => {
    const { name } = await findProject(context);
    const { command: list } = await import("#cli/volume/ls.ts");
    return delegate(context, list, [], {
      filter: { label: [`${LABEL.project}=${name}`] },
      quiet: flags.quiet,
      ...(flags.format === undefined ? {} : { format: flags.format }),
    });
  },
});
