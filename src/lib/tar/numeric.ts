/** Numbers in tar headers: octal text, or base-256 (GNU) for what does not fit in octal. */

/** Undefined when the field holds neither form, or a number beyond 2^53. */
export const parseNumber = (
  block: Uint8Array,
  offset: number,
  length: number,
): number | undefined => {
  const first = block[offset] ?? 0;
  if ((first & 0x80) !== 0) return parseBase256(block, offset, length);
  let at = offset;
  let end = offset + length;
  const isFill = (byte: number | undefined): boolean => byte === 0x20 || byte === 0;
  while (at < end && isFill(block[at])) at += 1;
  while (end > at && isFill(block[end - 1])) end -= 1;
  let value = 0;
  for (; at < end; at++) {
    const byte = block[at] ?? 0;
    if (byte === 0) break; // What stands behind a NUL inside the field is left-over.
    if (byte < 0x30 || byte > 0x37) return undefined;
    value = value * 8 + (byte - 0x30);
  }
  return Number.isSafeInteger(value) ? value : undefined;
};

/** Two's complement, big endian; the top bit only marks the form. */
const parseBase256 = (block: Uint8Array, offset: number, length: number): number | undefined => {
  const first = block[offset] ?? 0;
  const isNegative = (first & 0x40) !== 0;
  let value = BigInt(isNegative ? (first & 0x7f) - 0x80 : first & 0x7f);
  for (let at = offset + 1; at < offset + length; at++) {
    value = value * 256n + BigInt(block[at] ?? 0);
  }
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : undefined;
};

/** A whole non-negative decimal number, as pax records write sizes and ids. */
export const parseDecimal = (text: string): number | undefined => {
  if (!/^\d{1,16}$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
};

/** pax time: seconds since the epoch with an optional fraction and sign. */
export const parseTime = (text: string): { seconds: number; nanoseconds: number } | undefined => {
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(text);
  if (match === null) return undefined;
  const [, sign = "", whole = "", fraction = ""] = match;
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, "0"));
  const seconds = Number(whole);
  if (sign === "") return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: 0 - seconds, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
};

/** The inverse of `parseTime`, without needless digits. */
export const formatTime = (time: { seconds: number; nanoseconds: number }): string => {
  const { seconds, nanoseconds } = time;
  if (nanoseconds === 0) return String(seconds);
  const isBefore = seconds < 0;
  const fraction = isBefore ? 1_000_000_000 - nanoseconds : nanoseconds;
  const whole = isBefore ? -(seconds + 1) : seconds;
  const digits = String(fraction).padStart(9, "0").replace(/0+$/, "");
  return `${isBefore ? "-" : ""}${whole}.${digits}`;
};
