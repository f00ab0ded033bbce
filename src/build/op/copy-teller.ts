/** What a copy tells of each entry it has made, for a sum that is taken beside it: lines of snapshot/sum-beside.ts. */
import { writeSync } from "node:fs";
import type { Told } from "#snapshot/sum-beside.ts";

/** A few files at once; who reads them has enough to do with the first. */
const GATHER_CHARS = 1024;

export class CopyTeller {
  readonly #fd: number;
  #text = "";
  #isHeard = true;

  constructor(fd: number) {
    this.#fd = fd;
  }

  tell(told: Told): void {
    if (!this.#isHeard) return;
    this.#text += `${JSON.stringify(told)}\n`;
    if (this.#text.length >= GATHER_CHARS || "end" in told) this.#flush();
  }

  #flush(): void {
    const bytes = Buffer.from(this.#text);
    this.#text = "";
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at, bytes.length - at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
      // The child is gone, and says itself why; the copy has nothing to do with it.
      this.#isHeard = false;
    }
  }
}
