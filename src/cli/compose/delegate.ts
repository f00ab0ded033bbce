/** Commands about one container that do for a service what they do for any container. */
import type { CliContext } from "#cli/context.ts";
import type { Command } from "#cli/framework/command.ts";

/** Runs it with its own defaults under these flags. */
export const delegate = (
  context: CliContext,
  command: Command,
  args: readonly string[],
  flags: Readonly<Record<string, unknown>> = {},
): Promise<number> => {
  const defaults = Object.fromEntries(
    Object.entries(command.flags).map(([name, flag]) => [name, flag.initial]),
  );
  return command.run({
    context,
    flags: { ...defaults, ...flags },
    args,
    changed: new Set(Object.keys(flags)),
  });
};
