/** A blob on its way into the store: bytes go to a file and through the hash, then to the disk. */
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { type Digest, parseDigest } from "#spec/image/digest.ts";

export interface WrittenBlob {
  readonly file: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export class BlobFile implements Disposable {
  readonly #file: string;
  readonly #algorithm: "sha256" | "sha512";
  readonly #hasher: Bun.CryptoHasher;
  #fd: number;
  #sizeBytes = 0;

  /** `file` must not exist. */
  constructor(file: string, algorithm: "sha256" | "sha512" = "sha256") {
    this.#file = file;
    this.#algorithm = algorithm;
    this.#hasher = new Bun.CryptoHasher(algorithm);
    this.#fd = openSync(file, "wx", 0o600);
  }

  write(bytes: Uint8Array): void {
    this.#hasher.update(bytes);
    for (let at = 0; at < bytes.length;) {
      at += writeSync(this.#fd, bytes, at, bytes.length - at);
    }
    this.#sizeBytes += bytes.length;
  }

  /** The bytes are on disk when this returns. */
  finish(): WrittenBlob {
    fsyncSync(this.#fd);
    this[Symbol.dispose]();
    const digest = parseDigest(`${this.#algorithm}:${this.#hasher.digest("hex")}`);
    return { file: this.#file, digest, sizeBytes: this.#sizeBytes };
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}
