/** A command as data: how it is called, its flags, what it does. One file per command. */
import type { CliContext } from "#cli/context.ts";
import type { Completion, Flags, FlagValues } from "#cli/framework/flags.ts";

export interface ArgumentCount {
  readonly min: number;
  readonly max: number;
}

export const NONE: ArgumentCount = { min: 0, max: 0 };
export const ONE: ArgumentCount = { min: 1, max: 1 };
export const TWO: ArgumentCount = { min: 2, max: 2 };
export const AT_LEAST_ONE: ArgumentCount = { min: 1, max: Number.POSITIVE_INFINITY };
export const ANY: ArgumentCount = { min: 0, max: Number.POSITIVE_INFINITY };
export const upTo = (max: number): ArgumentCount => ({ min: 0, max });

export interface Invocation<F extends Flags> {
  readonly context: CliContext;
  readonly flags: FlagValues<F>;
  readonly args: readonly string[];
  /** Long names of the flags that were given. */
  readonly changed: ReadonlySet<string>;
}

export interface CommandSpec<F extends Flags> {
  /** Behind the command's name: "[OPTIONS] CONTAINER [CONTAINER...]". */
  readonly usage: string;
  readonly flags: F;
  readonly args: ArgumentCount;
  /** Off: the first argument ends the flags (run, exec). On by default. */
  readonly isInterspersed?: boolean;
  /** Longer text above the options. */
  readonly description?: string;
  readonly examples?: readonly string[];
  /** What a shell completes for its arguments. */
  readonly completes?: Completion;
  /** The exit code. */
  readonly run: (invocation: Invocation<F>) => Promise<number>;
}

export type Command = CommandSpec<Flags>;

/** Checks flags against their use, then forgets the exact types. */
export const defineCommand = <F extends Flags>(spec: CommandSpec<F>): Command =>
  spec as unknown as Command;
