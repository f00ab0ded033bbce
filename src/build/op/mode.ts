/** Modes as --chmod says them: octal, or symbolic as chmod(1) has it. */
import { NaruError } from "#lib/errors.ts";

const CLASS_BITS: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o1007, a: 0o7777 };
const PERMISSION_BITS: Readonly<Record<string, number>> = { r: 0o444, w: 0o222, x: 0o111 };

const bad = (text: string): never => {
  throw new NaruError("invalid_argument", `invalid chmod parameter: '${text}'`);
};

/** Throws invalid_argument. */
export const checkMode = (text: string): void => {
  applyMode(text, 0, false);
};

const SHIFT: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };

const bitsOf = (letters: string, mode: number, isTree: boolean, text: string): number => {
  let bits = 0;
  for (const letter of letters) {
    const plain = PERMISSION_BITS[letter];
    const shift = SHIFT[letter];
    if (plain !== undefined) bits |= plain;
    else if (letter === "X") bits |= isTree || (mode & 0o111) !== 0 ? 0o111 : 0;
    else if (letter === "s") bits |= 0o6000;
    else if (letter === "t") bits |= 0o1000;
    else if (shift !== undefined) bits |= ((mode >> shift) & 7) * 0o111;
    else bad(text);
  }
  return bits;
};

/** The mode that a file with `mode` gets. Throws invalid_argument. */
export const applyMode = (text: string, mode: number, isTree: boolean): number => {
  if (/^[0-7]{1,5}$/.test(text)) {
    const octal = Number.parseInt(text, 8);
    return octal > 0o7777 ? bad(text) : octal;
  }
  let result = mode;
  for (const clause of text.split(",")) {
    const match = /^([ugoa]*)((?:[-+=][rwxXstugo]*)+)$/.exec(clause);
    if (match === null) return bad(text);
    const [, who = "", actions = ""] = match;
    const mask = Array.from(who === "" ? "a" : who).reduce(
      (bits, letter) => bits | (CLASS_BITS[letter] ?? 0),
      0,
    );
    for (const [, operator = "", letters = ""] of actions.matchAll(/([-+=])([rwxXstugo]*)/g)) {
      const bits = bitsOf(letters, result, isTree, text) & mask;
      if (operator === "+") result |= bits;
      else if (operator === "-") result &= ~bits;
      else result = (result & ~(mask & 0o7777)) | bits;
    }
  }
  return result & 0o7777;
};
