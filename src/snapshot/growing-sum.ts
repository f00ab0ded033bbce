/** The sum of a file that another process appends to, in pieces, as that one tells how far it is. */
import { closeSync, openSync, readSync } from "node:fs";
import { type Digest, sha256Digest } from "#spec/image/digest.ts";

const CHUNK_BYTES = 1024 * 1024;

export class GrowingSum implements Disposable {
  readonly #fd: number;
  readonly #hasher = new Bun.CryptoHasher("sha256");
  readonly #buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  #position = 0;

  constructor(path: string) {
    this.#fd = openSync(path, "r");
  }

  /** Bytes that are summed up. */
  get position(): number {
    return this.#position;
  }

  /** Takes what is there up to `end`. Where the writer failed the file ends earlier: its sum says nothing then. */
  reach(end: number): void {
    while (this.#position < end) {
      const want = Math.min(CHUNK_BYTES, end - this.#position);
      const count = readSync(this.#fd, this.#buffer, 0, want, this.#position);
      if (count === 0) return;
      this.#hasher.update(this.#buffer.subarray(0, count));
      this.#position += count;
    }
  }

  /** Once, at the end. */
  digest(): Digest {
    return sha256Digest(this.#hasher.digest("hex"));
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
