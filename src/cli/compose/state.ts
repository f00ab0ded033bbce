/** What the flags before the command's name said; set once, before the command runs. */
import type { CliContext } from "#cli/context.ts";
import type { ComposeFlags } from "#cli/compose/globals.ts";

const states = new WeakMap<CliContext, ComposeFlags>();

export const setComposeFlags = (context: CliContext, flags: ComposeFlags): void => {
  states.set(context, flags);
};

export const composeFlagsOf = (context: CliContext): ComposeFlags => {
  const flags = states.get(context);
  if (flags === undefined) throw new Error("a compose command runs without its flags");
  return flags;
};
