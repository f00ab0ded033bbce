/**
 * `.dockerignore`: what of a build context does not exist for the build.
 *
 * Each line is a pattern; `!` takes back what lines above it took out. The last line that matches a path
 * or a directory above it decides. `#` at the start of a line is a comment. A slash at the start or at
 * the end of a pattern means nothing: patterns always begin at the context's root.
 */
import { cleanPath } from "#lib/path.ts";
import { NaruError } from "#lib/errors.ts";
import {
  type PathTest,
  compileIgnorePattern,
  hasWildcard,
  literalNames,
} from "#spec/dockerfile/ignore-pattern.ts";

const BYTE_ORDER_MARK = "\uFEFF";

const normalizePattern = (line: string): string => {
  const isException = line.startsWith("!");
  const given = isException ? line.slice(1).trim() : line;
  const cleaned = given === "" ? "" : cleanPath(given).replace(/^\/(?=.)/, "");
  return isException ? `!${cleaned}` : cleaned;
};

/** The patterns, each in its one spelling, `!` in front of exceptions. */
export const parseDockerignore = (text: string): readonly string[] =>
  text
    .replace(BYTE_ORDER_MARK, "")
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map(normalizePattern);

/** Files to look for, in order; the first that exists counts, also when it is empty. */
export const dockerignoreNames = (dockerfile: string): readonly [own: string, common: string] => [
  `${dockerfile}.dockerignore`,
  ".dockerignore",
];

interface Rule {
  readonly isException: boolean;
  readonly pattern: string;
  readonly test: PathTest;
}

const toRule = (written: string): Rule => {
  const isException = written.startsWith("!");
  const given = isException ? written.slice(1) : written;
  if (given === "") {
    throw new NaruError(
      "invalid_argument",
      'illegal exclusion pattern: "!": a pattern must follow it',
    );
  }
  const pattern = cleanPath(given);
  return { isException, pattern, test: compileIgnorePattern(pattern) };
};

/** What is known of a directory, for the paths below it. */
export interface IgnoreState {
  readonly isIgnored: boolean;
  /** Which rules match the path or a directory above it. */
  readonly matched: readonly boolean[];
}

export class IgnoreMatcher {
  readonly #rules: readonly Rule[];
  readonly #exceptions: readonly string[];

  /** Patterns as parseDockerignore returns them, or as --exclude says them. Throws invalid_argument: malformed patterns. */
  constructor(patterns: readonly string[]) {
    this.#rules = patterns
      .map((pattern) => pattern.trim())
      .filter((pattern) => pattern !== "")
      .map(toRule);
    this.#exceptions = this.#rules.filter((r) => r.isException).map((r) => r.pattern);
  }

  /** The state of the context's root, which is never ignored. */
  get root(): IgnoreState {
    return { isIgnored: false, matched: this.#rules.map(() => false) };
  }

  /**
   * The state of a path ("a/b", no slash at its start or end) from that of its directory. For walks: the
   * cost does not grow with depth.
   */
  enter(path: string, parent: IgnoreState): IgnoreState {
    let isIgnored = false;
    const matched = this.#rules.map((rule, index) => {
      const isInherited = parent.matched[index] === true;
      // A rule that would change nothing is not asked.
      if (!isInherited && (rule.isException !== isIgnored || !rule.test(path))) return false;
      isIgnored = !rule.isException;
      return true;
    });
    return { isIgnored, matched };
  }

  /** "a/b" or "./a/b/": relative to the context's root. The root itself is never ignored. */
  isIgnored(path: string): boolean {
    const cleaned = cleanPath(path).replace(/^\/+/, "");
    if (cleaned === "." || cleaned === "") return false;
    let state = this.root;
    let at = -1;
    do {
      at = cleaned.indexOf("/", at + 1);
      state = this.enter(at < 0 ? cleaned : cleaned.slice(0, at), state);
    } while (at >= 0);
    return state.isIgnored;
  }

  /** For an ignored directory: whether something below it may still be taken back by a `!`. */
  canHoldExceptions(directory: string): boolean {
    const names = directory.split("/");
    return this.#exceptions.some((pattern) => {
      const fixed = literalNames(pattern);
      if (fixed.length <= names.length && !hasWildcard(pattern)) return false;
      return fixed.every((name, index) => index >= names.length || name === names[index]);
    });
  }
}
