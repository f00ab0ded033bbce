/** Unquoted text of a compose file as a value. */
import type { Scalar } from "#spec/compose/node.ts";

const NULLS = new Set(["", "~", "null", "Null", "NULL"]);
const TRUES = new Set(["true", "True", "TRUE"]);
const FALSES = new Set(["false", "False", "FALSE"]);
const DIGITS = /^[-+]?(?:0|[1-9][\d_]*)$/;
const FLOAT = /^[-+]?(?:\.\d+|\d[\d_]*(?:\.\d*)?)(?:[eE][-+]?\d+)?$/;
const SPECIAL_FLOATS: Readonly<Record<string, number>> = {
  ".inf": Number.POSITIVE_INFINITY,
  "+.inf": Number.POSITIVE_INFINITY,
  "-.inf": Number.NEGATIVE_INFINITY,
  ".nan": Number.NaN,
};

const radixOf = (text: string): number | undefined => {
  const match = /^([-+]?)0(?:([xob])([\da-fA-F_]+)|([0-7_]+))$/.exec(text);
  if (match === null) return undefined;
  const [, sign, letter, digits, octal] = match;
  const radix = letter === "x" ? 16 : letter === "b" ? 2 : 8;
  const value = Number.parseInt((digits ?? octal ?? "").replaceAll("_", ""), radix);
  return Number.isNaN(value) ? undefined : sign === "-" ? -value : value;
};

/** What a plain scalar stands for. */
export const plainScalar = (text: string): Scalar => {
  if (NULLS.has(text)) return null;
  if (TRUES.has(text)) return true;
  if (FALSES.has(text)) return false;
  if (!/^[-+.\d]/.test(text)) return text;
  if (DIGITS.test(text)) return Number(text.replaceAll("_", ""));
  const special = SPECIAL_FLOATS[text.toLowerCase()];
  if (special !== undefined) return special;
  const other = radixOf(text);
  if (other !== undefined) return other;
  return FLOAT.test(text) ? Number(text.replaceAll("_", "")) : text;
};
