import { buildService } from "#cli/compose/build-service.ts";
import { openProject } from "#cli/compose/project.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool, list } from "#cli/framework/flags.ts";
import { imageOf } from "#compose/names.ts";
import { inOrder } from "#compose/references.ts";
import { withServices } from "#spec/compose/select.ts";
import type { Model } from "#spec/compose/compose.ts";

/** Images that others are built from come first. */
const buildOrder = (model: Model): string[] => {
  const ordered = new Set<string>();
  const visit = (name: string): void => {
    const build = model.services[name]?.build;
    if (build === undefined || ordered.has(name)) return;
    for (const context of Object.values(build.additional_contexts ?? {})) {
      if (context.startsWith("service:")) visit(context.slice("service:".length));
    }
    ordered.add(name);
  };
  for (const name of inOrder(model)) visit(name);
  return [...ordered];
};

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  flags: {
    "build-arg": list("Set build-time variables"),
    "no-cache": bool("Do not use the cache"),
    pull: bool("Pull newer base images"),
    push: bool("Push the images when they are built"),
    quiet: bool("Do not show how images are built", "q"),
    "with-dependencies": bool("Build what these services depend on too"),
  },
  args: ANY,
  run: async ({ context, flags, args }) => {
    const project = await openProject(context, args);
    const chosen = withServices(project.model, args, flags["with-dependencies"]);
    const names = buildOrder(chosen);
    if (names.length === 0) context.output.error("No services to build");
    for (const name of names) {
      const image = imageOf(project.model, name);
      // oxlint-disable-next-line no-await-in-loop -- the builder runs its steps at once by itself
      await buildService(context, project, name, image, {
        hasNoCache: flags["no-cache"],
        isPulled: flags.pull,
        isQuiet: flags.quiet,
        args: flags["build-arg"],
      });
    }
    if (!flags.push) return 0;
    const { pushImages } = await import("#cli/compose/push.ts");
    return pushImages(context, project, names, { isQuiet: flags.quiet });
  },
});
