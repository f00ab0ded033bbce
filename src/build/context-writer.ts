/** A context's tar becomes a directory, each file's digest taken while it streams by. */
import { type TarEntry, badTar } from "#lib/tar/entry.ts";
import type { TarHandler } from "#lib/tar/parser.ts";
import { NaruError } from "#lib/errors.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import { entryPath } from "#snapshot/entry-path.ts";
import { TreeWriter } from "#snapshot/tree-writer.ts";

/** More names than any source tree has; they are kept in memory while the build runs. */
export const CONTEXT_ENTRIES_MAX = 500_000;

const ZEROS = new Uint8Array(64 * 1024);
const OWNER = { uid: 0, gid: 0 };

export class ContextWriter implements TarHandler, Disposable {
  /** sha256 of each file's content, in hex, by path. */
  readonly digests = new Map<string, string>();
  readonly #writer: TreeWriter;
  #path = "";
  #hasher: Bun.CryptoHasher | undefined;
  #size = 0;
  #hashed = 0;
  #entries = 0;

  /** `rootFd` stays the caller's. */
  constructor(kernel: FileKernel, rootFd: number) {
    this.#writer = new TreeWriter({ kernel, rootFd, isLayer: false, owner: OWNER });
  }

  entry(entry: TarEntry): void {
    this.#entries += 1;
    if (this.#entries > CONTEXT_ENTRIES_MAX) {
      throw new NaruError(
        "resource_exhausted",
        `the build context has more than ${CONTEXT_ENTRIES_MAX} entries: leave files out with .dockerignore`,
      );
    }
    if (entry.type === "character device" || entry.type === "block device") {
      throw badTar(entry.name, "is a device, which a build context must not hold");
    }
    this.#path = entryPath(entry.name);
    this.#writer.entry(entry);
    if (entry.type === "hard link") {
      const linked = this.digests.get(entryPath(entry.linkName, entry.name));
      if (linked !== undefined) this.digests.set(this.#path, linked);
    } else this.digests.delete(this.#path);
    if (entry.type !== "file") return;
    this.#hasher = new Bun.CryptoHasher("sha256");
    this.#size = entry.size;
    this.#hashed = 0;
  }

  data(bytes: Uint8Array, offset: number): void {
    this.#writer.data(bytes, offset);
    this.#fillTo(offset);
    this.#hasher?.update(bytes);
    this.#hashed += bytes.length;
  }

  entryEnd(): void {
    this.#writer.entryEnd();
    const hasher = this.#hasher;
    if (hasher === undefined) return;
    this.#fillTo(this.#size);
    this.#hasher = undefined;
    this.digests.set(this.#path, hasher.digest("hex"));
  }

  finish(): void {
    this.#writer.finish();
  }

  [Symbol.dispose](): void {
    this.#writer[Symbol.dispose]();
  }

  /** Holes of sparse files are zeros like any other. */
  #fillTo(offset: number): void {
    while (this.#hashed < offset) {
      const count = Math.min(ZEROS.length, offset - this.#hashed);
      this.#hasher?.update(ZEROS.subarray(0, count));
      this.#hashed += count;
    }
  }
}
