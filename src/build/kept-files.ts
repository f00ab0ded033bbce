/**
 * A context's tree that stays between builds, while the next tar of it comes in: what is the same stays where it
 * is, what is not named any more goes. Only content that was compared byte by byte counts as the same: tars of
 * common clients tell times in seconds, too coarse to trust.
 *
 * The list beside the tree says what lies there. It is taken away first and written last: a tree without a
 * list, or with one from before a restart of the machine (nothing here is flushed), starts empty.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { bootId } from "#build/boot-id.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import { hasCode } from "#lib/errors.ts";
import type { TarEntry } from "#lib/tar/entry.ts";
import { splitPath } from "#snapshot/directory-cache.ts";
import { removeTreeAt } from "#snapshot/remove-tree.ts";

interface Known {
  /** What the tar said of it: mode, size, time. */
  readonly facts: string;
  /** sha256 in hex; "" for what is no file. */
  readonly digest: string;
}

interface List {
  readonly boot: string;
  readonly entries: readonly (readonly [path: string, facts: string, digest: string])[];
}

const COMPARE_BYTES = 1024 * 1024;
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY;
const FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

const readList = (path: string): Map<string, Known> => {
  if (!existsSync(path)) return new Map();
  const { boot, entries } = JSON.parse(readFileSync(path, "utf8")) as List;
  if (boot !== bootId()) return new Map();
  return new Map(entries.map(([name, facts, digest]) => [name, { facts, digest }]));
};

const factsOf = ({ mode, size, mtime }: TarEntry): string =>
  `${mode.toString(8)} ${size} ${mtime.seconds}.${mtime.nanoseconds}`;

/** A file of the last build that may be the one that comes. */
export interface KeptFile {
  readonly fd: number;
  readonly digest: string;
}

export class KeptFiles implements Disposable {
  readonly #kernel: FileKernel;
  readonly #rootFd: number;
  readonly #listPath: string;
  readonly #known: Map<string, Known>;
  readonly #taken = new Map<string, { facts: string; isDirectory: boolean }>();
  readonly #buffer = Buffer.allocUnsafeSlow(COMPARE_BYTES);
  /** Something was written through a symlink: paths do not say any more where things lie. */
  #isIndirect = false;
  #openFd = -1;

  /** `rootFd` stays the caller's. Takes the list away; empties a tree without one. */
  constructor(kernel: FileKernel, rootFd: number, listPath: string) {
    this.#kernel = kernel;
    this.#rootFd = rootFd;
    this.#listPath = listPath;
    this.#known = readList(listPath);
    rmSync(listPath, { force: true });
    if (this.#known.size > 0) return;
    for (const name of kernel.readDir(rootFd)) removeTreeAt(kernel, rootFd, name);
  }

  /** To be called for every entry before it is written. A file to compare it with, or undefined: write it. */
  take(path: string, entry: TarEntry): KeptFile | undefined {
    this.#takeParents(path);
    const known = this.#known.get(path);
    const isDirectory = entry.type === "directory";
    const facts = entry.type === "file" ? factsOf(entry) : "";
    const isPlain = entry.xattrs.size === 0 && entry.regions === undefined;
    if (this.#taken.get(path)?.isDirectory === true && !isDirectory) this.#isIndirect = true;
    this.#taken.set(path, { facts: isPlain ? facts : "", isDirectory });
    this.#known.delete(path);
    if (!isPlain && known !== undefined) this.#remove(path);
    if (!isPlain || facts === "" || entry.size === 0 || known?.facts !== facts) return undefined;
    return this.#open(path, known.digest, entry.size);
  }

  /** True when the file has these bytes at the offset. */
  isSame(file: KeptFile, bytes: Uint8Array, offset: number): boolean {
    for (let done = 0; done < bytes.length;) {
      const length = Math.min(this.#buffer.length, bytes.length - done);
      const count = readSync(file.fd, this.#buffer, 0, length, offset + done);
      if (count === 0) return false;
      const part = bytes.subarray(done, done + count);
      if (this.#buffer.compare(part, 0, count, 0, count) !== 0) return false;
      done += count;
    }
    return true;
  }

  /** The first `length` bytes; a piece is valid until the next one. */
  *head(file: KeptFile, length: number): Generator<{ bytes: Uint8Array; offset: number }, void> {
    for (let offset = 0; offset < length;) {
      const wanted = Math.min(this.#buffer.length, length - offset);
      const count = readSync(file.fd, this.#buffer, 0, wanted, offset);
      if (count === 0) throw new Error("a kept file became shorter while it was read");
      yield { bytes: this.#buffer.subarray(0, count), offset };
      offset += count;
    }
  }

  release(file: KeptFile): void {
    closeSync(file.fd);
    this.#openFd = -1;
  }

  /** Removes what was not named, and writes the list. */
  finish(digests: ReadonlyMap<string, string>): void {
    for (const path of this.#known.keys()) {
      const [parent] = splitPath(path);
      // What stood in a directory that is gone went with it.
      if (parent === "" || this.#taken.get(parent)?.isDirectory === true) this.#remove(path);
    }
    if (this.#isIndirect) return;
    const entries = [...this.#taken].map(
      ([path, { facts }]) => [path, facts, digests.get(path) ?? ""] as const,
    );
    const list: List = { boot: bootId(), entries };
    writeFileSync(this.#listPath, JSON.stringify(list), { mode: 0o600 });
  }

  [Symbol.dispose](): void {
    if (this.#openFd !== -1) closeSync(this.#openFd);
    this.#openFd = -1;
  }

  /** Directories that the tar does not name are made anew: the old one's mode would stay otherwise. */
  #takeParents(path: string): void {
    const [parent] = splitPath(path);
    if (parent === "") return;
    const taken = this.#taken.get(parent);
    if (taken?.isDirectory === true) return;
    if (taken !== undefined) {
      this.#isIndirect = true;
      return;
    }
    this.#takeParents(parent);
    if (this.#known.has(parent)) {
      this.#remove(parent);
      for (const name of this.#known.keys()) {
        if (name === parent || name.startsWith(`${parent}/`)) this.#known.delete(name);
      }
    }
    this.#taken.set(parent, { facts: "", isDirectory: true });
  }

  #open(path: string, digest: string, sizeBytes: number): KeptFile | undefined {
    if (this.#isIndirect || digest === "") return undefined;
    let fd: number;
    try {
      fd = this.#kernel.openInRoot(this.#rootFd, path, FILE);
    } catch (error) {
      // A build takes its Dockerfile away where .dockerignore names it.
      if (hasCode(error, "not_found")) return undefined;
      throw error;
    }
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.size !== sizeBytes) {
      closeSync(fd);
      return undefined;
    }
    this.#openFd = fd;
    return { fd, digest };
  }

  #remove(path: string): void {
    const [parent, name] = splitPath(path);
    try {
      const fd = this.#kernel.openInRoot(this.#rootFd, parent === "" ? "." : parent, DIRECTORY);
      try {
        removeTreeAt(this.#kernel, fd, name);
      } finally {
        this.#kernel.close(fd);
      }
    } catch (error) {
      if (!hasCode(error, "not_found")) throw error;
    }
  }
}
