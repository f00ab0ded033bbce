import { bringUp } from "#cli/compose/bring-up.ts";
import { openProject } from "#cli/compose/project.ts";
import { openStack } from "#cli/compose/stack.ts";
import { upFlags } from "#cli/compose/up-flags.ts";
import { upOptions, withScale } from "#cli/compose/up-options.ts";
import { ANY, defineCommand } from "#cli/framework/command.ts";
import { bool, integer, list, text, unsupported } from "#cli/framework/flags.ts";
import { usageError } from "#cli/framework/errors.ts";
import { composeFlagsOf } from "#cli/compose/state.ts";
import { decideUp } from "#compose/decide.ts";
import { planLines, planSummary } from "#compose/plan.ts";
import { NaruError } from "#lib/errors.ts";

/** What follows the containers' output, and so cannot be where nobody looks at it. */
const NEEDS_OUTPUT = [
  "abort-on-container-exit",
  "abort-on-container-failure",
  "attach",
  "attach-dependencies",
  "exit-code-from",
] as const;

const checkDetached = (
  flags: Readonly<
    Record<(typeof NEEDS_OUTPUT)[number], string | boolean | readonly string[] | undefined>
  >,
): void => {
  const asked = NEEDS_OUTPUT.find((name) => {
    const value = flags[name];
    return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false;
  });
  if (asked === undefined) return;
  throw usageError(`--${asked} needs the output: leave --detach, --wait and --no-start out`);
};

export const command = defineCommand({
  usage: "[OPTIONS] [SERVICE...]",
  description:
    "Creates and starts what the project says and is not there yet, in the order of its " +
    "dependencies; what has changed is recreated, what has not is left alone.",
  flags: {
    ...upFlags,
    "abort-on-container-exit": bool("Stop all containers when one stops"),
    "abort-on-container-failure": bool("Stop all containers when one fails"),
    attach: list("Show the output of these services alone"),
    "attach-dependencies": bool("Show the output of dependencies too"),
    detach: bool("Leave the containers running and return", "d"),
    "exit-code-from": text("Return the exit code of this service; stops all when it stops"),
    menu: unsupported("there is no menu: use --watch, or other commands beside"),
    "no-attach": list("Do not show the output of these services"),
    "no-color": bool("Show names without colours"),
    "no-log-prefix": bool("Show lines without names"),
    "no-start": bool("Create the containers and leave them stopped"),
    timestamps: bool("Show when each line was written"),
    wait: bool("Return when all services run or are healthy"),
    "wait-timeout": integer("Seconds to wait at most"),
    watch: bool("Watch the sources and keep the containers up to date", "w"),
  },
  args: ANY,
  run: async ({ context, flags, args }) => {
    const whole = await openProject(context, args);
    const project = { ...whole, model: withScale(whole.model, flags.scale) };
    if (Object.keys(project.model.services).length === 0) {
      throw new NaruError("invalid_argument", "there is no service to bring up");
    }
    const isDetached = flags.watch || flags.detach || flags.wait || flags["no-start"];
    const exitFrom = flags["exit-code-from"];
    if (flags.detach || flags.wait || flags["no-start"]) checkDetached(flags);
    const named = [...flags.attach, ...(exitFrom === undefined ? [] : [exitFrom])];
    for (const name of named) {
      if (name in project.model.services) continue;
      throw new NaruError("not_found", `no such service: "${name}"`);
    }
    const timeout = flags["wait-timeout"];
    const deadline =
      timeout === undefined ? undefined : AbortSignal.timeout(Math.max(1, timeout) * 1000);
    const { stack, screen } = await openStack(context, project, {
      isPullQuiet: flags["quiet-pull"],
      isBuildQuiet: flags["quiet-build"],
      hasOutputBeside: !isDetached,
      stopTimeout: flags.timeout,
      ...(deadline === undefined ? {} : { signal: deadline }),
    });
    using _owned = stack;
    const options = upOptions(context, project, args, flags);
    if (composeFlagsOf(context)["dry-run"]) {
      const plan = decideUp(stack.model, await stack.observe(), options);
      for (const line of planLines(plan, stack.model)) context.output.line(line);
      context.output.line(planSummary(plan));
      return 0;
    }
    if (isDetached) {
      await bringUp(context, stack, screen, options);
      if (!flags.watch) return 0;
      const { watchProject } = await import("#cli/compose/watch-project.ts");
      return await watchProject(context, stack, screen, args);
    }
    const { attachAll } = await import("#cli/compose/attach-all.ts");
    return await attachAll(context, stack, screen, options, {
      shown: flags.attach,
      hidden: flags["no-attach"],
      hasDependencies: flags["attach-dependencies"],
      hasTimestamps: flags.timestamps,
      hasPrefix: !flags["no-log-prefix"],
      hasColor: !flags["no-color"],
      exitFrom,
      stopsOnExit: flags["abort-on-container-exit"] || exitFrom !== undefined,
      stopsOnFailure: flags["abort-on-container-failure"],
    });
  },
});
