import { findProject } from "#cli/compose/project.ts";
import { namelessProject, openStack } from "#cli/compose/stack.ts";
import { composeFlagsOf } from "#cli/compose/state.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool, integer, text } from "#cli/framework/flags.ts";
import { usageError } from "#cli/framework/errors.ts";
import { decideDown } from "#compose/down.ts";
import { planLines, planSummary } from "#compose/plan.ts";
import { NaruError } from "#lib/errors.ts";

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICES]",
  description:
    "Stops and removes the project's containers and networks. Volumes stay unless --volumes is given.",
  flags: {
    "remove-orphans": bool("Remove containers of services that are not in the files"),
    rmi: text('Remove images: "all", or "local" for those without a name of their own', undefined, {
      completes: ["all", "local"],
    }),
    timeout: integer("Seconds that containers get to stop", "t"),
    volumes: bool("Remove the project's volumes and anonymous volumes: their data is lost", "v"),
  },
  args: ANY,
  run: async ({ context, flags, args }) => {
    const { rmi } = flags;
    if (rmi !== undefined && rmi !== "all" && rmi !== "local") {
      throw usageError(`--rmi takes "all" or "local", not "${rmi}"`);
    }
    const { name, project, off } = await findProject(context);
    (await context.client()).beginRemoval();
    const { stack, screen } = await openStack(context, project ?? namelessProject(name), {
      stopTimeout: flags.timeout,
    });
    using _owned = stack;
    const observed = await stack.observe(flags.volumes);
    for (const service of args) {
      const isKnown =
        service in stack.model.services ||
        observed.containers.some((container) => container.service === service);
      if (!isKnown) throw new NaruError("not_found", `no such service: "${service}"`);
    }
    const plan = decideDown(stack.model, observed, {
      named: args,
      hasVolumesRemoved: flags.volumes,
      hasOrphansRemoved:
        flags["remove-orphans"] ||
        ["1", "true"].includes(context.env["COMPOSE_REMOVE_ORPHANS"] ?? ""),
      hasFiles: project !== undefined,
      images: rmi ?? "none",
      off,
      hasAllResources: composeFlagsOf(context)["all-resources"],
    });
    if (composeFlagsOf(context)["dry-run"]) {
      for (const line of planLines(plan, stack.model)) context.output.line(line);
      context.output.line(planSummary(plan));
      return 0;
    }
    if (plan.operations.length === 0) {
      context.output.error(`warning: there is nothing of the project "${name}"`);
    }
    try {
      await stack.run(plan);
    } finally {
      await screen.finish();
    }
    return 0;
  },
});
