/** The keys that let go of a container without stopping it: "ctrl-p,ctrl-q" by default. */
import { usageError } from "#cli/framework/errors.ts";

const DEFAULT_KEYS = "ctrl-p,ctrl-q";

/** "ctrl-a", "a", "ctrl-[" … as bytes. Throws a usage error on an unknown key. */
export const parseDetachKeys = (text: string): Uint8Array => {
  const bytes: number[] = [];
  for (const key of (text === "" ? DEFAULT_KEYS : text).split(",")) {
    const control = /^ctrl-([a-zA-Z@[\\\]^_])$/.exec(key)?.[1];
    if (control !== undefined) bytes.push(control.toUpperCase().charCodeAt(0) & 0x1f);
    else if (key.length === 1) bytes.push(key.charCodeAt(0));
    else throw usageError(`invalid detach keys (${text}): unknown character: '${key}'`);
  }
  return Uint8Array.from(bytes);
};

/** Passes input on, except a complete key sequence; a begun one is held back until it breaks. */
export class DetachFilter {
  readonly #keys: Uint8Array;
  #matched = 0;

  constructor(keys: Uint8Array) {
    this.#keys = keys;
  }

  filter(input: Uint8Array): { readonly bytes: Uint8Array; readonly isDetached: boolean } {
    const passed: number[] = [];
    for (const byte of input) {
      if (byte === this.#keys[this.#matched]) {
        this.#matched += 1;
        if (this.#matched === this.#keys.length) {
          return { bytes: Uint8Array.from(passed), isDetached: true };
        }
        continue;
      }
      if (this.#matched > 0) {
        passed.push(...this.#keys.subarray(0, this.#matched));
        this.#matched = 0;
        if (byte === this.#keys[0]) {
          this.#matched = 1;
          continue;
        }
      }
      passed.push(byte);
    }
    return { bytes: Uint8Array.from(passed), isDetached: false };
  }
}
