import type { CliContext } from "#cli/context.ts";
import { delegate } from "#cli/compose/delegate.ts";
import { openProject } from "#cli/compose/project.ts";
import { errorText } from "#cli/report.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool } from "#cli/framework/flags.ts";
import { withServices } from "#spec/compose/select.ts";
import type { Project } from "#spec/compose/project.ts";

/** Only images that are built here and have a name: others belong to somebody else. */
export const pushImages = async (
  context: CliContext,
  project: Project,
  names: readonly string[],
  { goesOn = false, isQuiet = false } = {},
): Promise<number> => {
  const { command: push } = await import("#cli/image/push.ts");
  let exitCode = 0;
  for (const name of names) {
    const service = project.model.services[name];
    if (service?.build === undefined || service.image === undefined) continue;
    try {
      // oxlint-disable-next-line no-await-in-loop -- their progress shares one screen
      await delegate(context, push, [service.image], { quiet: isQuiet });
    } catch (error) {
      if (!goesOn) throw error;
      context.output.error(`warning: ${service.image}: ${errorText(error)}`);
      exitCode = 1;
    }
  }
  return exitCode;
};

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  flags: {
    "ignore-push-failures": bool("Go on when an image cannot be pushed"),
    "include-deps": bool("Push images of dependencies too"),
    quiet: bool("Print the names of the images alone", "q"),
  },
  args: ANY,
  run: async ({ context, flags, args }) => {
    const project = await openProject(context, args);
    const chosen = withServices(project.model, args, flags["include-deps"]);
    const names = Object.keys(chosen.services);
    const goesOn = flags["ignore-push-failures"];
    const code = await pushImages(context, project, names, { goesOn, isQuiet: flags.quiet });
    return goesOn ? 0 : code;
  },
});
