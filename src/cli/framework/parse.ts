/**
 * The command line's grammar, as docker's: `--flag value`, `--flag=value`, `-f value`, `-fvalue`,
 * clusters (`-it`), `--flag=false`, repeated flags, `--` ends the flags.
 */
import { usageError } from "#cli/framework/errors.ts";
import type { ArgumentCount } from "#cli/framework/command.ts";
import type { Flag, Flags, FlagValues } from "#cli/framework/flags.ts";
import { suggest } from "#cli/framework/suggest.ts";

export interface Parsed<F extends Flags> {
  readonly values: FlagValues<F>;
  readonly changed: ReadonlySet<string>;
  readonly args: readonly string[];
  readonly isHelp: boolean;
}

interface Found {
  readonly name: string;
  readonly flag: Flag<unknown>;
}

class FlagParser {
  readonly values: Record<string, unknown> = {};
  readonly changed = new Set<string>();
  readonly args: string[] = [];
  isHelp = false;
  readonly #flags: Flags;
  readonly #argv: readonly string[];
  #at = 0;

  constructor(flags: Flags, argv: readonly string[]) {
    this.#flags = flags;
    this.#argv = argv;
    for (const [name, flag] of Object.entries(flags)) this.values[name] = flag.initial;
  }

  parse(isInterspersed: boolean): void {
    while (this.#at < this.#argv.length) {
      const word = this.#argv[this.#at] ?? "";
      this.#at += 1;
      if (word === "--") {
        this.args.push(...this.#argv.slice(this.#at));
        return;
      }
      if (word.startsWith("--")) this.#long(word.slice(2));
      else if (word.startsWith("-") && word.length > 1) this.#cluster(word.slice(1));
      else if (isInterspersed) this.args.push(word);
      else {
        this.args.push(word, ...this.#argv.slice(this.#at));
        return;
      }
    }
  }

  #findLong(name: string): Found | undefined {
    const flag = this.#flags[name];
    if (flag !== undefined) return { name, flag };
    for (const [main, candidate] of Object.entries(this.#flags)) {
      if (candidate.aliases?.includes(name) === true) return { name: main, flag: candidate };
    }
    return undefined;
  }

  #long(word: string): void {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    const given = equals < 0 ? undefined : word.slice(equals + 1);
    const found = this.#findLong(name);
    if (found === undefined) {
      if (name === "help") {
        this.isHelp = true;
        return;
      }
      const near = suggest(name, Object.keys(this.#flags));
      const hint = near === undefined ? "" : `\n\nDid you mean --${near}?`;
      throw usageError(`unknown flag: --${name}${hint}`);
    }
    if (given !== undefined) this.#set(found, given);
    else if (found.flag.isBoolean) this.#set(found, "true");
    else this.#set(found, this.#following(`--${name}`));
  }

  #following(shown: string): string {
    const next = this.#argv[this.#at];
    if (next === undefined) throw usageError(`flag needs an argument: ${shown}`);
    this.#at += 1;
    return next;
  }

  #cluster(letters: string): void {
    for (let at = 0; at < letters.length; at += 1) {
      const letter = letters[at] ?? "";
      const found = this.#findShort(letter);
      if (found === undefined) {
        if (letter === "h") {
          this.isHelp = true;
          return;
        }
        throw usageError(`unknown shorthand flag: '${letter}' in -${letters}`);
      }
      const rest = letters.slice(at + 1);
      if (rest.startsWith("=")) {
        this.#set(found, rest.slice(1));
        return;
      }
      if (!found.flag.isBoolean) {
        this.#set(found, rest === "" ? this.#following(`'${letter}' in -${letters}`) : rest);
        return;
      }
      this.#set(found, "true");
    }
  }

  #findShort(letter: string): Found | undefined {
    for (const [name, flag] of Object.entries(this.#flags)) {
      if (flag.short === letter) return { name, flag };
    }
    return undefined;
  }

  #set({ name, flag }: Found, given: string): void {
    try {
      this.values[name] = flag.parse(given, this.values[name]);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const shown = flag.short === undefined ? `--${name}` : `-${flag.short}, --${name}`;
      throw usageError(`invalid argument ${JSON.stringify(given)} for "${shown}" flag: ${reason}`);
    }
    this.changed.add(name);
  }
}

/** Throws a usage error that names the flag, what was given and why it does not do. */
export const parseFlags = <F extends Flags>(
  flags: F,
  argv: readonly string[],
  isInterspersed = true,
): Parsed<F> => {
  const parser = new FlagParser(flags, argv);
  parser.parse(isInterspersed);
  return {
    values: parser.values as FlagValues<F>,
    changed: parser.changed,
    args: parser.args,
    isHelp: parser.isHelp,
  };
};

const plural = (count: number): string => `${String(count)} argument${count === 1 ? "" : "s"}`;

/** Throws a usage error that says how many arguments `path` wants. */
export const checkArguments = (path: string, wanted: ArgumentCount, given: number): void => {
  if (given >= wanted.min && given <= wanted.max) return;
  if (wanted.max === 0) throw usageError(`'${path}' accepts no arguments`);
  const bound =
    wanted.min === wanted.max
      ? plural(wanted.min)
      : given < wanted.min
        ? `at least ${plural(wanted.min)}`
        : `at most ${plural(wanted.max)}`;
  throw usageError(`'${path}' requires ${bound}`);
};
