/** Sizes as Docker's clients write and show them (binary units for memory, decimal ones for disk). */
import { NaruError } from "#lib/errors.ts";

const BINARY: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};

/** "64m", "1.5g", "1024", "512KiB" → bytes. Throws invalid_argument "invalid size: 'x'". */
export const parseBytes = (text: string): number => {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text.trim());
  const factor = BINARY[(match?.[2] ?? "").toLowerCase()];
  if (match === null || factor === undefined) {
    throw new NaruError("invalid_argument", `invalid size: '${text}'`);
  }
  return Math.trunc(Number(match[1]) * factor);
};
