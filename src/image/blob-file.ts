/** Blobs on their way into the store: bytes go to a file and through a hash, then to the disk. */
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { HashFollower } from "#image/hash-follower.ts";
import type { SocketKernel } from "#kernel/kernel.ts";
import { type Digest, parseDigest } from "#spec/image/digest.ts";

export interface WrittenBlob {
  readonly file: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export interface BlobFile extends Disposable {
  write(bytes: Uint8Array): void;
  /** No more bytes. The value gives the finished blob, on disk; it may have to wait for the hash. */
  close(): () => WrittenBlob;
}

export interface BlobFilesOptions {
  readonly kernel: SocketKernel;
  /** Starts `runHashFollower`. */
  readonly followerCommand: readonly string[];
}

type Algorithm = "sha256" | "sha512";

/** From here on a process of its own pays. */
const LARGE_BYTES = 8 * 1024 * 1024;
const TELL_EVERY_BYTES = 2 * 1024 * 1024;

const writeAll = (fd: number, bytes: Uint8Array): void => {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at);
};

/** Owns a file that is being written; closing twice is no error. */
class OpenFile {
  readonly path: string;
  readonly #fd: number;
  #isOpen = true;
  sizeBytes = 0;

  constructor(path: string) {
    this.path = path;
    this.#fd = openSync(path, "wx", 0o600);
  }

  write(bytes: Uint8Array): void {
    writeAll(this.#fd, bytes);
    this.sizeBytes += bytes.length;
  }

  sync(): void {
    fsyncSync(this.#fd);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#fd);
  }
}

const smallBlob = (path: string, algorithm: Algorithm): BlobFile => {
  const file = new OpenFile(path);
  const hasher = new Bun.CryptoHasher(algorithm);
  return {
    write: (bytes) => {
      hasher.update(bytes);
      file.write(bytes);
    },
    close: () => {
      file.sync();
      file.close();
      const digest = parseDigest(`${algorithm}:${hasher.digest("hex")}`);
      return () => ({ file: path, digest, sizeBytes: file.sizeBytes });
    },
    [Symbol.dispose]: () => file.close(),
  };
};

const largeBlob = (path: string, algorithm: Algorithm, follower: HashFollower): BlobFile => {
  const file = new OpenFile(path);
  let told = 0;
  follower.tell(`open ${algorithm} ${path}`);
  const tell = (): void => {
    told = file.sizeBytes;
    follower.tell(`upto ${told}`);
  };
  return {
    write: (bytes) => {
      file.write(bytes);
      if (file.sizeBytes - told >= TELL_EVERY_BYTES) tell();
    },
    close: () => {
      tell();
      follower.tell("close");
      file.close();
      return () => ({
        file: path,
        digest: parseDigest(`${algorithm}:${follower.digest()}`),
        sizeBytes: file.sizeBytes,
      });
    },
    [Symbol.dispose]: () => file.close(),
  };
};

/** Makes blob files; blobs are written one after another, their results taken in the same order. */
export class BlobFiles implements Disposable {
  readonly #options: BlobFilesOptions;
  #follower: HashFollower | undefined;

  constructor(options: BlobFilesOptions) {
    this.#options = options;
  }

  /** `path` must not exist. `sizeBytes` undefined = not known, taken for large. */
  create(path: string, sizeBytes: number | undefined, algorithm: Algorithm = "sha256"): BlobFile {
    if (sizeBytes !== undefined && sizeBytes < LARGE_BYTES) return smallBlob(path, algorithm);
    const { followerCommand, kernel } = this.#options;
    this.#follower ??= new HashFollower(followerCommand, kernel);
    return largeBlob(path, algorithm, this.#follower);
  }

  [Symbol.dispose](): void {
    this.#follower?.[Symbol.dispose]();
  }
}
