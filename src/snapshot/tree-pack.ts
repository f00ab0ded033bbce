/**
 * Files as tar entries, as a synchronous generator of chunks: a child process writes them out in a
 * loop, a stream pulls them one by one, so that back-pressure needs no buffer.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { NO_XATTRS, type TarEntry, type TarEntryType, plainEntry } from "#lib/tar/entry.ts";
import { TAR_END, tarHeader, tarPadding } from "#lib/tar/writer.ts";
import type { FileKernel, FileStat } from "#kernel/kernel.ts";
import { isGone } from "#snapshot/tree-walk.ts";
import {
  OVERLAY_XATTR_PREFIX,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "#snapshot/whiteout.ts";

const CHUNK_BYTES = 256 * 1024;
const O_PATH = 0o10000000;

const TYPES: ReadonlyMap<number, TarEntryType> = new Map([
  [S_IFREG, "file"],
  [S_IFDIR, "directory"],
  [S_IFLNK, "symlink"],
  [S_IFCHR, "character device"],
  [S_IFBLK, "block device"],
  [S_IFIFO, "fifo"],
]);

/** Undefined for sockets, which archives cannot hold. */
export const entryType = (stat: FileStat): TarEntryType | undefined =>
  TYPES.get(stat.mode & S_IFMT);

/** Labels and sums that the host's security modules put there: wrong on any other host. */
const HOST_XATTRS: ReadonlySet<string> = new Set([
  "security.selinux",
  "security.apparmor",
  "security.SMACK64",
  "security.ima",
  "security.evm",
]);

export interface PackerOptions {
  /** Hears of each entry and of where its content begins in the archive, as from a parser. */
  readonly onEntry?: ((entry: TarEntry, dataOffset: number) => void) | undefined;
  /** Nobody puts anything else in a file's place meanwhile. */
  readonly isStill?: boolean;
}

export class TreePacker {
  readonly #kernel: FileKernel;
  readonly #links = new Map<string, string>();
  #chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  #fill = 0;
  #sizeBytes = 0;
  /** Bytes of the archive before the chunk. */
  #taken = 0;

  readonly #isReused: boolean;
  readonly #options: PackerOptions;

  /** "reused": a chunk is valid until the next one is asked for. */
  constructor(kernel: FileKernel, chunks: "kept" | "reused" = "kept", options: PackerOptions = {}) {
    this.#kernel = kernel;
    this.#isReused = chunks === "reused";
    this.#options = options;
  }

  /** Sum of the file sizes packed so far. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * One file of the tree. A name seen before under the same inode becomes a hard link. Attributes are the file's own
   * unless they are given: then of a directory nothing is read.
   */
  *node(
    tarName: string,
    directoryFd: number,
    name: string,
    stat: FileStat,
    given?: ReadonlyMap<string, Uint8Array>,
  ): Generator<Uint8Array, void> {
    const type = entryType(stat);
    if (type === undefined) return;
    const key = `${stat.dev}:${stat.ino}`;
    const first = stat.nlink > 1 && type !== "directory" ? this.#links.get(key) : undefined;
    try {
      if (first !== undefined) {
        yield* this.entry({ ...this.#describe("hard link", tarName, stat), linkName: first });
      } else if (type === "file") {
        yield* this.#file(tarName, directoryFd, name, stat, given);
      } else {
        const linkName = type === "symlink" ? this.#kernel.readlinkAt(directoryFd, name) : "";
        const xattrs = given ?? this.#xattrs(directoryFd, name);
        yield* this.entry({ ...this.#describe(type, tarName, stat), linkName, xattrs });
      }
    } catch (error) {
      if (isGone(error)) return; // Removed by a running container.
      throw error;
    }
    if (stat.nlink > 1) this.#links.set(key, tarName);
  }

  /** A directory by its own descriptor. */
  *directory(tarName: string, fd: number): Generator<Uint8Array, void> {
    const stat = statOfFd(fd);
    // "." or the attributes would be those of the symlink in /proc.
    const xattrs = this.#xattrs(fd, ".");
    yield* this.entry({ ...this.#describe("directory", tarName, stat), xattrs });
  }

  /** An entry without content. */
  *entry(entry: TarEntry): Generator<Uint8Array, void> {
    yield* this.#put(tarHeader(entry));
    this.#options.onEntry?.(entry, this.#taken + this.#fill);
  }

  /** An empty file that only its name gives a meaning (whiteouts). */
  *marker(tarName: string): Generator<Uint8Array, void> {
    yield* this.entry({ ...EMPTY_FILE, name: tarName });
  }

  /** What was put so far: the archive may go on. */
  *flush(): Generator<Uint8Array, void> {
    if (this.#fill > 0) yield this.#take();
  }

  /** The end of the archive. */
  *end(): Generator<Uint8Array, void> {
    yield* this.#put(TAR_END);
    yield* this.flush();
  }

  *#file(
    tarName: string,
    directoryFd: number,
    name: string,
    stat: FileStat,
    given: ReadonlyMap<string, Uint8Array> | undefined,
  ): Generator<Uint8Array, void> {
    const fd = this.#openFile(directoryFd, name);
    if (fd === undefined) return;
    try {
      const xattrs = given ?? this.#xattrs(directoryFd, name);
      this.#sizeBytes += stat.size;
      yield* this.entry({ ...this.#describe("file", tarName, stat), xattrs });
      // The header has promised a length: a file that shrinks is filled up, one that grows is cut.
      for (let left = stat.size; left > 0;) {
        if (this.#fill === CHUNK_BYTES) yield this.#take();
        const want = Math.min(left, CHUNK_BYTES - this.#fill);
        const count = readSync(fd, this.#chunk, this.#fill, want, null);
        if (count === 0) this.#chunk.fill(0, this.#fill, this.#fill + want);
        this.#fill += count === 0 ? want : count;
        left -= count === 0 ? want : count;
      }
    } finally {
      closeSync(fd);
    }
    yield* this.#put(tarPadding(stat.size));
  }

  /**
   * By way of a descriptor that opens nothing: should the container have put a device or pipe in the
   * file's place, it is noticed before it is really opened.
   */
  #openFile(directoryFd: number, name: string): number | undefined {
    if (this.#options.isStill === true) {
      return this.#kernel.openAt(directoryFd, name, constants.O_RDONLY);
    }
    const pathFd = this.#kernel.openAt(directoryFd, name, O_PATH);
    try {
      if (!fstatSync(pathFd).isFile()) return undefined;
      return openSync(`/proc/self/fd/${pathFd}`, constants.O_RDONLY);
    } finally {
      closeSync(pathFd);
    }
  }

  #describe(type: TarEntryType, tarName: string, stat: FileStat): TarEntry {
    const isDevice = type === "character device" || type === "block device";
    return {
      type,
      name: tarName,
      linkName: "",
      mode: stat.mode & 0o7777,
      uid: stat.uid,
      gid: stat.gid,
      userName: "",
      groupName: "",
      size: type === "file" ? stat.size : 0,
      // Whole seconds, as other builders of layers write them.
      mtime: { seconds: stat.mtime.seconds, nanoseconds: 0 },
      deviceMajor: isDevice ? stat.rdevMajor : 0,
      deviceMinor: isDevice ? stat.rdevMinor : 0,
      xattrs: NO_XATTRS,
    };
  }

  #xattrs(directoryFd: number, name: string): ReadonlyMap<string, Uint8Array> {
    const path = `${this.#kernel.fdPath(directoryFd)}/${name}`;
    const names = this.#kernel.listXattrs(path).filter((key) => isPortableXattr(key));
    if (names.length === 0) return NO_XATTRS;
    const xattrs = new Map<string, Uint8Array>();
    for (const key of names.toSorted()) {
      const value = this.#kernel.getXattr(path, key);
      if (value !== undefined) xattrs.set(key, value);
    }
    return xattrs;
  }

  *#put(bytes: Uint8Array): Generator<Uint8Array, void> {
    for (let done = 0; done < bytes.length;) {
      if (this.#fill === CHUNK_BYTES) yield this.#take();
      const count = Math.min(bytes.length - done, CHUNK_BYTES - this.#fill);
      this.#chunk.set(bytes.subarray(done, done + count), this.#fill);
      this.#fill += count;
      done += count;
    }
  }

  /** A chunk goes to whoever asked; the next one is a new buffer where this one may be kept. */
  #take(): Uint8Array {
    const chunk = this.#chunk.subarray(0, this.#fill);
    if (!this.#isReused) this.#chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.#taken += this.#fill;
    this.#fill = 0;
    return chunk;
  }
}

/** What statAt says, of an open descriptor that is no device. */
export const statOfFd = (fd: number): FileStat => {
  const stat = fstatSync(fd, { bigint: true });
  return {
    mode: Number(stat.mode),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: Number(stat.size),
    rdevMajor: 0,
    rdevMinor: 0,
    ino: stat.ino,
    dev: stat.dev,
    nlink: Number(stat.nlink),
    mtime: {
      seconds: Number(stat.mtimeNs / 1_000_000_000n),
      nanoseconds: Number(stat.mtimeNs % 1_000_000_000n),
    },
  };
};

const EMPTY_FILE = plainEntry("", { mode: 0 });

/** Overlay's own marks and what belongs to the host stay out of archives. */
export const isPortableXattr = (name: string): boolean =>
  !name.startsWith(OVERLAY_XATTR_PREFIX) && !HOST_XATTRS.has(name);

/** A generator's chunks as a stream that reads only when it is read. Cancelling ends the generator. */
export const streamOf = (chunks: Generator<Uint8Array, void>): ReadableStream<Uint8Array> =>
  new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        const next = chunks.next();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      },
      cancel: () => void chunks.return(),
    },
    { highWaterMark: 0 },
  );
