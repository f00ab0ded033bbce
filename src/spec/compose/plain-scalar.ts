/** Unquoted text of a compose file as a value. */
import { goNumber } from "#spec/compose/go-number.ts";
import type { Place, Scalar, ScalarNode } from "#spec/compose/node.ts";

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

const INTEGER = /^([-+]?)(0[xob])?([\da-fA-F_]+)$/;

/**
 * What a number becomes where text is meant, as the reference tool has it: all figures of a large
 * integer, an exponent for large fractions. Undefined when `String(value)` says the same.
 */
const writtenOf = (text: string, value: Scalar): string | undefined => {
  if (typeof value !== "number") return undefined;
  if (/[.eE]/.test(text) && !/^[-+]?0x/.test(text)) {
    const written = goNumber(value);
    return written === String(value) ? undefined : written;
  }
  const match = Number.isSafeInteger(value) ? null : INTEGER.exec(text);
  if (match === null) return undefined;
  const [, sign, prefix = "", digits = ""] = match;
  const octal = prefix === "" && /^0[0-7_]/.test(digits) ? "0o" : prefix;
  const size = BigInt(`${octal}${digits.replaceAll("_", "")}`);
  return String(sign === "-" ? -size : size);
};

export const plainNode = (text: string, place: Place): ScalarNode => {
  const value = plainScalar(text);
  const written = writtenOf(text, value);
  const node = { kind: "scalar" as const, value, place, tag: undefined };
  return written === undefined ? node : { ...node, written };
};
