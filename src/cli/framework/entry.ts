/** What a command tree is made of: a name, a summary, and where the command's file is. */
import type { Command } from "#cli/framework/command.ts";

export interface Entry {
  readonly name: string;
  readonly summary: string;
  readonly load?: () => Promise<{ readonly command: Command }>;
  readonly children?: readonly Entry[];
  readonly aliases?: readonly string[];
  /** Every full name of a command that hangs in two places. */
  readonly alsoAs?: readonly string[];
  readonly isCommon?: boolean;
  readonly isHidden?: boolean;
  /** Carried out by the program's entry, not by the CLI: it needs rooms the CLI may not enter. */
  readonly isExternal?: boolean;
}

type Load = NonNullable<Entry["load"]>;

export const entry = (
  name: string,
  summary: string,
  load: Load,
  extra: Partial<Entry> = {},
): Entry => ({
  name,
  summary,
  load,
  ...extra,
});

export const group = (name: string, summary: string, children: readonly Entry[]): Entry => ({
  name,
  summary,
  children,
});

/** An entry by its name or one of its aliases. */
export const findEntry = (entries: readonly Entry[], name: string): Entry | undefined =>
  entries.find((candidate) => candidate.name === name) ??
  entries.find((candidate) => candidate.aliases?.includes(name));
