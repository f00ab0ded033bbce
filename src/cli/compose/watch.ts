import { bringUp } from "#cli/compose/bring-up.ts";
import { openProject } from "#cli/compose/project.ts";
import { openStack } from "#cli/compose/stack.ts";
import { upOptions } from "#cli/compose/up-options.ts";
import { watchProject } from "#cli/compose/watch-project.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool, enabled } from "#cli/framework/flags.ts";

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  description:
    "Brings the project up, then copies what changes into the containers, restarts or rebuilds them, " +
    'as the "develop" sections of the services say.',
  flags: {
    "no-up": bool("Do not bring the project up first"),
    prune: enabled("Remove the image before when a rebuild leaves it without a name"),
    quiet: bool("Do not show how images are built"),
  },
  args: ANY,
  run: async ({ context, flags, args }) => {
    const project = await openProject(context, args);
    const { stack, screen } = await openStack(context, project, { isQuiet: flags.quiet });
    using _owned = stack;
    if (flags["no-up"]) await stack.observe();
    else await bringUp(context, stack, screen, upOptions(context, project, args, {}));
    return await watchProject(context, stack, screen, args, flags.prune);
  },
});
