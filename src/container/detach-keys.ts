/** The key sequence that leaves a container running: parsed from "ctrl-p,ctrl-q", found in input. */
import { NaruError } from "#lib/errors.ts";

export const DEFAULT_DETACH_KEYS = "ctrl-p,ctrl-q";

const CONTROL: Readonly<Record<string, number>> = {
  "@": 0,
  "[": 27,
  "\\": 28,
  "]": 29,
  "^": 30,
  _: 31,
};

/** "a", "ctrl-a" … "ctrl-z", "ctrl-@[\\]^_", separated by commas. "" = the default. */
export const parseDetachKeys = (text: string): Uint8Array => {
  const codes = (text === "" ? DEFAULT_DETACH_KEYS : text).split(",").map((key) => {
    if (key.length === 1) return key.charCodeAt(0);
    // Small letters only: clients and engines of the other make refuse "ctrl-A" too.
    const control = /^ctrl-(.)$/.exec(key)?.[1];
    if (control !== undefined && /[a-z]/.test(control)) return control.charCodeAt(0) - 96;
    const code = control === undefined ? undefined : CONTROL[control];
    if (code === undefined) {
      throw new NaruError(
        "invalid_argument",
        `Invalid detach keys (${text}) provided: Unknown character: '${key}'`,
      );
    }
    return code;
  });
  return Uint8Array.from(codes);
};

/** Finds the sequence over the borders of chunks. What turns out to be no sequence is passed on. */
export class DetachScanner {
  readonly #keys: Uint8Array;
  #matched = 0;

  constructor(keys: Uint8Array) {
    this.#keys = keys;
  }

  scan(bytes: Uint8Array): { passed: Uint8Array; isDetached: boolean } {
    const passed: number[] = [];
    for (const byte of bytes) {
      if (byte === this.#keys[this.#matched]) {
        this.#matched += 1;
        if (this.#matched === this.#keys.length) {
          this.#matched = 0;
          return { passed: Uint8Array.from(passed), isDetached: true };
        }
        continue;
      }
      passed.push(...this.#keys.subarray(0, this.#matched));
      this.#matched = 0;
      if (byte === this.#keys[0]) this.#matched = 1;
      else passed.push(byte);
    }
    return { passed: Uint8Array.from(passed), isDetached: false };
  }
}
