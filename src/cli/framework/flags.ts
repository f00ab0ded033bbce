/**
 * Flags as data. The key in a command's table is the long name; the constructor says how text
 * becomes a value. A `parse` that throws makes the "invalid argument" error of the command line.
 */
export interface Flag<T> {
  readonly help: string;
  /** Shown in help: "string", "list", "int", "bytes" …; empty for booleans. */
  readonly type: string;
  readonly initial: T;
  /** Repeated flags get what was parsed so far. */
  parse(text: string, previous: T): T;
  readonly isBoolean: boolean;
  readonly short?: string;
  /** Other long names, not shown. */
  readonly aliases?: readonly string[];
  readonly isHidden?: boolean;
  /** Shown behind the help as "(default …)". */
  readonly shownDefault?: string;
  /** What a shell completes behind it. */
  readonly completes?: Completion;
}

export type Completion =
  | "containers"
  | "running"
  | "images"
  | "volumes"
  | "networks"
  | "contexts"
  | "files"
  | readonly string[];

export type Flags = Readonly<Record<string, Flag<unknown>>>;

export type FlagValues<F> = { readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never };

type Extra = Partial<
  Pick<Flag<unknown>, "short" | "aliases" | "isHidden" | "shownDefault" | "completes" | "type">
>;

const TRUE = new Set(["1", "t", "T", "true", "TRUE", "True"]);
const FALSE = new Set(["0", "f", "F", "false", "FALSE", "False"]);

export const parseBool = (text: string): boolean => {
  if (TRUE.has(text)) return true;
  if (FALSE.has(text)) return false;
  throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
};

/** A flag with its own way to read a value. */
export const value = <T>(
  help: string,
  type: string,
  initial: T,
  parse: (text: string, previous: T) => T,
  extra: Extra = {},
): Flag<T> => ({ help, initial, parse, isBoolean: false, type, ...extra });

export const bool = (help: string, short?: string, extra: Extra = {}): Flag<boolean> => ({
  help,
  type: "",
  initial: false,
  parse: parseBool,
  isBoolean: true,
  ...(short === undefined ? {} : { short }),
  ...extra,
});

/** Known to the tool this one stands in for, and not done here: said, not ignored. `--flag=false` is fine. */
export const unsupported = (remedy: string): Flag<boolean> => ({
  ...bool("Not supported", undefined, { isHidden: true }),
  parse: (given) => {
    if (parseBool(given)) throw new Error(`it is not supported: ${remedy}`);
    return false;
  },
});

/** Taken from lines written for docker, where it says what is done here anyway. */
export const implied = (): Flag<boolean> => bool("", undefined, { isHidden: true });

/** Docker's content trust, which is off unless asked for and which naru does not have. */
export const contentTrust = (): Flag<boolean> => ({
  ...implied(),
  initial: true,
  parse: (given) => {
    if (!parseBool(given)) {
      throw new Error("it is not supported: ask for signatures by a trust policy (naru trust)");
    }
    return true;
  },
});

/** On unless said otherwise: `--flag=false`. */
export const enabled = (help: string, extra: Extra = {}): Flag<boolean> => ({
  ...bool(help, undefined, extra),
  initial: true,
  shownDefault: "true",
});

/** Undefined when not given. */
export const text = (help: string, short?: string, extra: Extra = {}): Flag<string | undefined> =>
  value<string | undefined>(help, "string", undefined, (given) => given, {
    ...(short === undefined ? {} : { short }),
    ...extra,
  });

export const list = (help: string, short?: string, extra: Extra = {}): Flag<readonly string[]> =>
  value<readonly string[]>(help, "list", [], (given, previous) => [...previous, given], {
    ...(short === undefined ? {} : { short }),
    ...extra,
  });

export const parseInteger = (given: string): number => {
  if (!/^[+-]?\d+$/.test(given) || !Number.isSafeInteger(Number(given))) {
    throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(given)}: invalid syntax`);
  }
  return Number(given);
};

/** Undefined when not given. */
export const integer = (
  help: string,
  short?: string,
  extra: Extra = {},
): Flag<number | undefined> =>
  value<number | undefined>(help, "int", undefined, parseInteger, {
    ...(short === undefined ? {} : { short }),
    ...extra,
  });

/** `--filter key=value`, collected as the API wants them. */
export type FilterMap = Readonly<Record<string, readonly string[]>>;

export const filter = (
  help = "Filter output based on conditions provided",
  short: string | undefined = "f",
): Flag<FilterMap> =>
  value<FilterMap>(
    help,
    "filter",
    {},
    (given, previous) => {
      const at = given.indexOf("=");
      if (at < 0) throw new Error("bad format of filter (expected name=value)");
      const name = given.slice(0, at).trim().toLowerCase();
      const wanted = given.slice(at + 1).trim();
      const before = previous[name] ?? [];
      return { ...previous, [name]: before.includes(wanted) ? before : [...before, wanted] };
    },
    short === undefined || short === "" ? {} : { short },
  );

export const format = (
  help = 'Format output: "table TEMPLATE", "json" or a Go template',
): Flag<string | undefined> => text(help);
