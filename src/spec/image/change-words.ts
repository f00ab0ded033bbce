/** The words of one change instruction: quotes, backslashes, $VARIABLES, as in a Dockerfile. */
import { NaruError } from "#lib/errors.ts";

export type Environment = ReadonlyMap<string, string>;

const VARIABLE = /^\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?::?([-+])([^}]*))?\})/;

const expand = (rest: string, environment: Environment): [value: string, length: number] => {
  const match = VARIABLE.exec(rest);
  if (match === null) return ["$", 1];
  const [whole, plain, braced, operator, word = ""] = match;
  const value = environment.get(plain ?? braced ?? "") ?? "";
  if (operator === "-") return [value === "" ? word : value, whole.length];
  if (operator === "+") return [value === "" ? "" : word, whole.length];
  return [value, whole.length];
};

/**
 * Splits at unquoted blanks; removes quotes; expands variables outside single quotes. With `isOneWord` blanks
 * do not split. Throws invalid_argument on an open quote.
 */
export const changeWords = (
  text: string,
  environment: Environment,
  isOneWord = false,
): string[] => {
  const words: string[] = [];
  let word = "";
  let hasWord = false;
  let quote = "";
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (quote === "" && /\s/.test(char) && !isOneWord) {
      if (hasWord) words.push(word);
      [word, hasWord] = ["", false];
      continue;
    }
    hasWord = true;
    if (char === "\\" && quote !== "'" && at + 1 < text.length) {
      const next = text.charAt(at + 1);
      const isKept = quote === '"' && !'"$\\'.includes(next);
      word += isKept ? char + next : next;
      at += 1;
    } else if (quote === "" && (char === '"' || char === "'")) {
      quote = char;
    } else if (char === quote) {
      quote = "";
    } else if (char === "$" && quote !== "'") {
      const [value, length] = expand(text.slice(at), environment);
      word += value;
      at += length - 1;
    } else {
      word += char;
    }
  }
  if (quote !== "") {
    throw new NaruError(
      "invalid_argument",
      `unexpected end of statement while looking for matching ${quote === '"' ? "double" : "single"}-quote`,
    );
  }
  if (hasWord) words.push(word);
  return words;
};

/** `K=V K2="v 2"`, or the old form `K rest of line`. */
export const changePairs = (
  instruction: string,
  text: string,
  environment: Environment,
): [key: string, value: string][] => {
  const isOldForm = !/^[^\s"']*=/.test(text);
  if (isOldForm) {
    const match = /^(\S+)\s+(.*)$/s.exec(text);
    if (match === null) {
      throw new NaruError("invalid_argument", `${instruction} must have two arguments`);
    }
    return [[match[1] ?? "", changeWords(match[2] ?? "", environment, true)[0] ?? ""]];
  }
  return changeWords(text, environment).map((word) => {
    const at = word.indexOf("=");
    if (at < 0) {
      throw new NaruError(
        "invalid_argument",
        `Syntax error - can't find = in "${word}". Must be of the form: name=value`,
      );
    }
    if (at === 0) throw new NaruError("invalid_argument", `${instruction} names can not be blank`);
    return [word.slice(0, at), word.slice(at + 1)];
  });
};

/** A JSON list of strings, or undefined when the text is not one (then it is the shell form). */
export const jsonWords = (text: string): string[] | undefined => {
  if (!text.startsWith("[")) return undefined;
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every((item) => typeof item === "string") ? list : undefined;
  } catch {
    return undefined; // "[ -f x ] && y" is a shell line, not broken JSON.
  }
};
