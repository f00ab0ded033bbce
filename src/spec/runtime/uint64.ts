/**
 * Numbers of 64 bits without a sign, as runtimes read them from JSON: "no limit" is 2^64-1, which a number of
 * JavaScript's own would round up to one that no runtime can hold.
 */
export type Uint64 = number | { readonly rawJSON: string };

/** ECMAScript's JSON.rawJSON, which TypeScript's library does not describe yet. */
const json = JSON as JSON & { rawJSON(text: string): { readonly rawJSON: string } };

export const fromUint64 = (value: Uint64): bigint =>
  BigInt(typeof value === "number" ? value : value.rawJSON);

/** `value` for JSON.stringify, which writes it digit by digit. */
export const uint64 = (value: bigint): Uint64 =>
  value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : json.rawJSON(value.toString());
