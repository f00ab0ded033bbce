/**
 * Compares the upper directory of an overlay with the read-only view of what lies below it. Only what
 * the upper directory holds is looked at, plus the listings of directories that were replaced.
 *
 * What counts as a change is what Docker's `diff` counts: another mode, owner or device; for all but
 * directories another size or time; another capability. See docs of `docker container diff`.
 */
import { NaruError } from "#lib/errors.ts";
import type { FileKernel, FileStat } from "#kernel/kernel.ts";
import type { ChangeKind } from "#snapshot/snapshot.ts";
import { DIRECTORY_FLAGS, statOrGone, walkTree } from "#snapshot/tree-walk.ts";
import {
  METACOPY_XATTR,
  OPAQUE_XATTR,
  REDIRECT_XATTR,
  S_IFREG,
  S_IFMT,
  isDirectory,
  isWhiteout,
} from "#snapshot/whiteout.ts";

export interface UpperNode {
  /** Relative to the root. */
  readonly path: string;
  /** Undefined: copied up but not changed. */
  readonly kind: ChangeKind | undefined;
  /** Undefined for what is not in the upper directory: deletions inside a replaced directory. */
  readonly stat: FileStat | undefined;
  /** A directory that hides the one below it. */
  readonly isOpaque: boolean;
}

interface LowerDirectory {
  readonly path: string;
  /** Undefined: there is no directory below. */
  readonly fd: number | undefined;
}

const CAPABILITY = "security.capability";

const sameTime = (a: FileStat, b: FileStat): boolean =>
  a.mtime.seconds === b.mtime.seconds &&
  (a.mtime.nanoseconds === b.mtime.nanoseconds ||
    a.mtime.nanoseconds === 0 ||
    b.mtime.nanoseconds === 0);

const statDiffers = (upper: FileStat, lower: FileStat): boolean =>
  upper.mode !== lower.mode ||
  upper.uid !== lower.uid ||
  upper.gid !== lower.gid ||
  upper.rdevMajor !== lower.rdevMajor ||
  upper.rdevMinor !== lower.rdevMinor ||
  (!isDirectory(upper) && (upper.size !== lower.size || !sameTime(upper, lower)));

/** The walk of one upper directory; `lowerFd` undefined means that there is nothing below. */
export class UpperDiff {
  readonly #kernel: FileKernel;
  readonly #upperFd: number;
  /** Directories below the ones the walk is in, outermost first. */
  readonly #lower: LowerDirectory[];

  constructor(kernel: FileKernel, upperFd: number, lowerFd: number | undefined) {
    this.#kernel = kernel;
    this.#upperFd = upperFd;
    this.#lower = [{ path: "", fd: lowerFd }];
  }

  /** Each directory before its content. */
  *nodes(): Generator<UpperNode, void> {
    try {
      for (const { path, name, directoryFd, stat } of walkTree(this.#kernel, this.#upperFd)) {
        const parent = path.slice(0, Math.max(0, path.length - name.length - 1));
        this.#leaveTo(parent);
        const lowerFd = this.#lower.at(-1)?.fd;
        const lower = lowerFd === undefined ? undefined : statOrGone(this.#kernel, lowerFd, name);
        if (isWhiteout(stat)) {
          if (lower !== undefined) yield { path, kind: 2, stat, isOpaque: false };
          continue;
        }
        const file = `${this.#kernel.fdPath(directoryFd)}/${name}`;
        const kind = this.#kindOf(file, name, stat, lower, lowerFd);
        const isOpaque = this.#checkOverlayMarks(file, path, stat) && isDirectory(lower ?? NO_STAT);
        yield { path, kind, stat, isOpaque };
        if (!isDirectory(stat)) continue;
        yield* this.#enter(path, name, lower, isOpaque);
      }
    } finally {
      this.#leaveTo(undefined);
    }
  }

  #kindOf(
    file: string,
    name: string,
    stat: FileStat,
    lower: FileStat | undefined,
    lowerFd: number | undefined,
  ): ChangeKind | undefined {
    if (lower === undefined || lowerFd === undefined) return 1;
    if (statDiffers(stat, lower)) return 0;
    if ((stat.mode & S_IFMT) !== S_IFREG) return undefined;
    const [mine, below] = [
      this.#kernel.getXattr(file, CAPABILITY),
      this.#kernel.getXattr(`${this.#kernel.fdPath(lowerFd)}/${name}`, CAPABILITY),
    ];
    return Buffer.compare(mine ?? EMPTY, below ?? EMPTY) === 0 ? undefined : 0;
  }

  /** The store's own mounts never write these marks: an upper that has them is not of its making. */
  #checkOverlayMarks(file: string, path: string, stat: FileStat): boolean {
    const isTree = isDirectory(stat);
    if (!isTree && (stat.mode & S_IFMT) !== S_IFREG) return false;
    const mark = isTree ? REDIRECT_XATTR : METACOPY_XATTR;
    if (this.#kernel.getXattr(file, mark) !== undefined) {
      throw new NaruError(
        "failed_precondition",
        `"/${path}" carries "${mark}", so its content lies elsewhere; this tree was mounted with options that naru does not use`,
      );
    }
    return isTree && this.#kernel.getXattr(file, OPAQUE_XATTR)?.[0] === 0x79; // "y"
  }

  /** Remembers the directory below; lists what a replaced one has lost. */
  *#enter(
    path: string,
    name: string,
    lower: FileStat | undefined,
    isOpaque: boolean,
  ): Generator<UpperNode, void> {
    const parentFd = this.#lower.at(-1)?.fd;
    const hasLower = parentFd !== undefined && lower !== undefined && isDirectory(lower);
    const fd = hasLower ? this.#kernel.openAt(parentFd, name, DIRECTORY_FLAGS) : undefined;
    this.#lower.push({ path, fd });
    if (!isOpaque || fd === undefined) return;
    const upperFd = this.#kernel.openInRoot(this.#upperFd, path, DIRECTORY_FLAGS);
    let kept: Set<string>;
    try {
      kept = new Set(this.#kernel.readDir(upperFd));
    } finally {
      this.#kernel.close(upperFd);
    }
    for (const child of this.#kernel.readDir(fd).toSorted()) {
      if (kept.has(child)) continue;
      yield { path: `${path}/${child}`, kind: 2, stat: undefined, isOpaque: false };
    }
  }

  #leaveTo(parent: string | undefined): void {
    for (let last = this.#lower.at(-1); last !== undefined; last = this.#lower.at(-1)) {
      if (last.path === parent || last.path === "") return;
      if (last.fd !== undefined) this.#kernel.close(last.fd);
      this.#lower.pop();
    }
  }
}

const EMPTY = Buffer.alloc(0);
const NO_STAT = { mode: 0 };
