import { openProject } from "#cli/compose/project.ts";
import { openStack } from "#cli/compose/stack.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool, text } from "#cli/framework/flags.ts";
import type { Operation } from "#compose/compose.ts";
import { imageOf } from "#compose/names.ts";
import { withServices } from "#spec/compose/select.ts";

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  flags: {
    "ignore-buildable": bool("Leave out images that can be built"),
    "ignore-pull-failures": bool("Go on when an image cannot be pulled"),
    "include-deps": bool("Pull images of dependencies too"),
    policy: text('"missing" or "always"', undefined, { completes: ["missing", "always"] }),
    quiet: bool("Do not show progress", "q"),
  },
  args: ANY,
  run: async ({ context, flags, args }) => {
    const project = await openProject(context, args);
    const { stack, screen } = await openStack(context, project, { isQuiet: flags.quiet });
    using _owned = stack;
    const chosen = withServices(project.model, args, flags["include-deps"]);
    const observed = await stack.observe();
    const operations = new Map<string, Operation>();
    for (const [service, given] of Object.entries(chosen.services)) {
      const image = imageOf(project.model, service);
      const isThere = observed.images.get(image) !== undefined;
      if (given.image === undefined || given.provider !== undefined) continue;
      if (flags["ignore-buildable"] && given.build !== undefined) continue;
      if ((flags.policy ?? given.pull_policy) === "missing" && isThere) continue;
      const id = `image:${image}`;
      operations.set(id, { id, kind: "pull", image, service, needs: [], reason: "asked for" });
    }
    let hasFailed = false;
    const pullOne = async (operation: Operation): Promise<void> => {
      try {
        await stack.run({ operations: [operation] });
      } catch (error) {
        const isBuilt =
          operation.kind === "pull" &&
          project.model.services[operation.service]?.build !== undefined;
        if (!flags["ignore-pull-failures"] && !isBuilt) throw error;
        hasFailed = true;
      }
    };
    try {
      await Promise.all([...operations.values()].map(pullOne));
    } finally {
      await screen.finish();
    }
    if (hasFailed) context.output.error("warning: some images could not be pulled");
    return 0;
  },
});
