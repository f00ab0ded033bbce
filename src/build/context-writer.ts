/** A context's tar becomes a directory, each file's digest taken while it streams by. */
import { type TarEntry, badTar } from "#lib/tar/entry.ts";
import type { TarHandler } from "#lib/tar/parser.ts";
import { NaruError } from "#lib/errors.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import { entryPath } from "#snapshot/entry-path.ts";
import { TreeWriter } from "#snapshot/tree-writer.ts";
import type { KeptFile, KeptFiles } from "#build/kept-files.ts";

/** More names than any source tree has; they are kept in memory while the build runs. */
export const CONTEXT_ENTRIES_MAX = 500_000;

const ZEROS = new Uint8Array(64 * 1024);
const OWNER = { uid: 0, gid: 0 };

export class ContextWriter implements TarHandler, Disposable {
  /** sha256 of each file's content, in hex, by path. */
  readonly digests = new Map<string, string>();
  /** So far. */
  hasNoXattrs = true;
  readonly #writer: TreeWriter;
  #path = "";
  #hasher: Bun.CryptoHasher | undefined;
  #size = 0;
  #hashed = 0;
  #entries = 0;
  readonly #kept: KeptFiles | undefined;
  /** The file of the last build that has been the same so far. */
  #match: { readonly file: KeptFile; readonly entry: TarEntry } | undefined;

  /** `rootFd` stays the caller's, and so does `kept`: what lies there already. */
  constructor(kernel: FileKernel, rootFd: number, kept?: KeptFiles) {
    this.#kept = kept;
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
    if (entry.xattrs.size > 0) this.hasNoXattrs = false;
    this.#path = entryPath(entry.name);
    const file = this.#path === "" ? undefined : this.#kept?.take(this.#path, entry);
    if (file !== undefined) {
      this.#match = { file, entry };
      return;
    }
    this.#begin(entry);
  }

  #begin(entry: TarEntry): void {
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
    if (this.#match !== undefined) {
      if (this.#kept?.isSame(this.#match.file, bytes, offset) === true) return;
      this.#diverge(offset);
    }
    this.#write(bytes, offset);
  }

  #write(bytes: Uint8Array, offset: number): void {
    this.#writer.data(bytes, offset);
    this.#fillTo(offset);
    this.#hasher?.update(bytes);
    this.#hashed += bytes.length;
  }

  /** The content differs from here on: a new file, with what was the same until now. */
  #diverge(offset: number): void {
    const [match, kept] = [this.#match, this.#kept];
    if (match === undefined || kept === undefined) return;
    this.#match = undefined;
    this.#begin(match.entry);
    for (const part of kept.head(match.file, offset)) this.#write(part.bytes, part.offset);
    kept.release(match.file);
  }

  entryEnd(): void {
    const match = this.#match;
    if (match !== undefined) {
      this.#match = undefined;
      this.#kept?.release(match.file);
      this.digests.set(this.#path, match.file.digest);
      return;
    }
    this.#writer.entryEnd();
    const hasher = this.#hasher;
    if (hasher === undefined) return;
    this.#fillTo(this.#size);
    this.#hasher = undefined;
    this.digests.set(this.#path, hasher.digest("hex"));
  }

  finish(): void {
    this.#kept?.finish(this.digests);
    // Last: the times of directories from which something was taken away.
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
