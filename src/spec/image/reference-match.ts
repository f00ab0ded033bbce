/** Patterns of the `reference` filter: Go's path.Match against the familiar forms of a name. */
import { NaruError } from "#lib/errors.ts";
import { type Reference, familiarName, familiarString } from "#spec/image/reference.ts";

const badPattern = (pattern: string): NaruError =>
  new NaruError(
    "invalid_argument",
    `invalid filter 'reference=${pattern}': syntax error in pattern`,
  );

/** `[...]` from behind its bracket: the class as a regular expression and the index after it. */
const readClass = (pattern: string, start: number): [source: string, next: number] => {
  let at = start;
  let source = "[";
  if (pattern[at] === "^") {
    source += "^";
    at += 1;
  }
  for (let count = 0; ; count += 1) {
    let char = pattern[at];
    if (char === undefined) throw badPattern(pattern);
    if (char === "]" && count > 0) return [`${source}]`, at + 1];
    if (char === "\\") char = pattern[(at += 1)];
    if (char === undefined || char === "]") throw badPattern(pattern);
    source +=
      char === "-" && count > 0 && pattern[at - 1] !== "\\"
        ? "-"
        : `\\u{${char.codePointAt(0)?.toString(16)}}`;
    at += 1;
  }
};

const compile = (pattern: string): RegExp => {
  let source = "^";
  for (let at = 0; at < pattern.length;) {
    let char = pattern.charAt(at);
    if (char === "*") source += "[^/]*";
    else if (char === "?") source += "[^/]";
    else if (char === "[") {
      const [part, next] = readClass(pattern, at + 1);
      source += part;
      at = next;
      continue;
    } else {
      if (char === "\\") {
        at += 1;
        if (at >= pattern.length) throw badPattern(pattern);
        char = pattern.charAt(at);
      }
      source += char.replace(/[\\^$.*+?()[\]{}|/]/, "\\$&");
    }
    at += 1;
  }
  try {
    return new RegExp(`${source}$`, "u");
  } catch {
    throw badPattern(pattern);
  }
};

/** True when the pattern fits "name:tag" or "name" in its familiar form. Throws invalid_argument on a bad pattern. */
export const referenceMatcher = (pattern: string): ((reference: Reference) => boolean) => {
  const expression = compile(pattern);
  return (reference) =>
    expression.test(familiarString(reference)) || expression.test(familiarName(reference));
};
