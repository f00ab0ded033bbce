/** The flags of one instruction, checked against those it knows. */
import type { Flag, SourceRange, Word } from "#spec/dockerfile/dockerfile.ts";
import { Complaint, withSuggestion } from "#spec/dockerfile/error.ts";

/** list: may be given several times. */
export type FlagKinds = Readonly<Record<string, "bool" | "text" | "list">>;

const readBool = (flag: Flag): boolean => {
  if (flag.value === undefined) return true;
  const value = flag.value.toLowerCase();
  if (value === "") throw new Complaint(`missing a value on flag: --${flag.name}`, flag.range);
  if (value === "true" || value === "false") return value === "true";
  throw new Complaint(
    `expecting boolean value for flag --${flag.name}, not: ${flag.value}`,
    flag.range,
  );
};

export class FlagSet {
  readonly #flags: readonly Flag[];

  /** Throws Complaint: unknown, twice, without its value. */
  constructor(flags: readonly Flag[], kinds: FlagKinds) {
    const seen = new Set<string>();
    for (const flag of flags) {
      const kind = Object.hasOwn(kinds, flag.name) ? kinds[flag.name] : undefined;
      if (kind === undefined) {
        const reason = `unknown flag: --${flag.name}`;
        throw new Complaint(withSuggestion(reason, flag.name, Object.keys(kinds)), flag.range);
      }
      if (seen.has(flag.name) && kind !== "list") {
        throw new Complaint(`duplicate flag specified: --${flag.name}`, flag.range);
      }
      seen.add(flag.name);
      if (kind === "bool") readBool(flag);
      else if (flag.value === undefined) {
        throw new Complaint(`missing a value on flag: --${flag.name}`, flag.range);
      }
    }
    this.#flags = flags;
  }

  list(name: string): readonly Word[] {
    return this.#flags
      .filter((flag) => flag.name === name)
      .map((flag) => ({ text: flag.value ?? "", range: flag.range }));
  }

  /** Undefined when absent or empty: both mean the default. */
  text(name: string): Word | undefined {
    const [word] = this.list(name);
    return word === undefined || word.text === "" ? undefined : word;
  }

  /** Undefined: not given. */
  bool(name: string): boolean | undefined {
    const flag = this.#flags.find((f) => f.name === name);
    return flag === undefined ? undefined : readBool(flag);
  }

  rangeOf(name: string): SourceRange | undefined {
    return this.#flags.find((f) => f.name === name)?.range;
  }
}
