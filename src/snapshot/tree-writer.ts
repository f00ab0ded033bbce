/**
 * Writes the entries of a tar archive into a directory. Synchronous: it stands behind the tar parser
 * and runs in a child process (layers) or over small archives (`docker cp`).
 *
 * Nothing it does can leave the root: parents are descriptors (directory-cache.ts), last components
 * are never followed. What an entry finds in its place is replaced, except a directory by a directory.
 */
import { closeSync, constants, fchmodSync, fchownSync, ftruncateSync, writeSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { TarEntry } from "#lib/tar/entry.ts";
import type { TarHandler } from "#lib/tar/parser.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import { diskError } from "#snapshot/disk-error.ts";
import { DirectoryCache, errnoOf, splitPath } from "#snapshot/directory-cache.ts";
import { entryPath } from "#snapshot/entry-path.ts";
import {
  checkRootEntry,
  checkXattrName,
  hardLinkTarget,
  tooManyEntries,
  unlinkable,
  whiteoutOf,
} from "#snapshot/layer-rules.ts";
import { removeTreeAt } from "#snapshot/remove-tree.ts";
import type { TreeWriterOptions } from "#snapshot/tree-writer-options.ts";
import {
  OPAQUE_VALUE,
  OPAQUE_XATTR,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  WHITEOUT_PREFIX,
  isDirectory,
  isWhiteout,
} from "#snapshot/whiteout.ts";

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
const SPECIAL_BITS = 0o7000;

export class TreeWriter implements TarHandler, Disposable {
  readonly #options: TreeWriterOptions;
  readonly #kernel: FileKernel;
  readonly #directories: DirectoryCache;
  readonly #umask = process.umask();
  readonly #ownUid = process.geteuid?.() ?? 0;
  readonly #ownGid = process.getegid?.() ?? 0;
  /** Directories whose times (and special bits) are set when nothing changes in them any more. */
  readonly #late = new Map<string, TarEntry>();
  #entries = 0;
  #sizeBytes = 0;
  #skippedXattrs = 0;
  #isRootOpaque = false;
  #hasRootEntry = false;
  #fileFd = -1;
  #file: { readonly entry: TarEntry; readonly parentFd: number; readonly name: string } | undefined;

  constructor(options: TreeWriterOptions) {
    this.#options = options;
    this.#kernel = options.kernel;
    this.#directories = new DirectoryCache(options.kernel, options.rootFd, {
      onCreate: (path) => this.#countEntry(path),
      replace: (parentFd, name) => this.#replaceWhiteout(parentFd, name),
    });
  }

  /** Sum of the sizes of all files. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }
  get entries(): number {
    return this.#entries;
  }
  /** Attributes that this file system does not take. */
  get skippedXattrs(): number {
    return this.#skippedXattrs;
  }
  get isRootOpaque(): boolean {
    return this.#isRootOpaque;
  }
  get hasRootEntry(): boolean {
    return this.#hasRootEntry;
  }

  entry(entry: TarEntry): void {
    this.#countEntry(entry.name);
    this.#sizeBytes += entry.size;
    const path = entryPath(entry.name);
    try {
      if (path === "") this.#rootEntry(entry);
      else this.#place(entry, this.#inBase(path));
    } catch (error) {
      throw named(entry, error);
    }
  }

  data(bytes: Uint8Array, offset: number): void {
    if (this.#fileFd === -1) return;
    try {
      for (let done = 0; done < bytes.length;) {
        done += writeSync(this.#fileFd, bytes, done, bytes.length - done, offset + done);
      }
    } catch (error) {
      throw named(this.#file?.entry, diskError(error));
    }
  }

  entryEnd(): void {
    const file = this.#file;
    if (file === undefined) return;
    const fd = this.#fileFd;
    this.#file = undefined;
    this.#fileFd = -1;
    const { entry, parentFd, name } = file;
    try {
      if (entry.regions !== undefined) ftruncateSync(fd, entry.size);
      const { uid, gid } = this.#options.owner ?? entry;
      if (this.#isForeign(uid, gid)) fchownSync(fd, uid, gid);
      if (this.#needsChmod(entry)) fchmodSync(fd, entry.mode);
      this.#setXattrs(entry, parentFd, name);
      this.#kernel.setTimesAt(parentFd, name, entry.mtime, entry.mtime);
    } catch (error) {
      throw named(entry, diskError(error));
    } finally {
      closeSync(fd);
    }
  }

  /** Sets what had to wait. To be called once, after the last entry. */
  finish(): void {
    for (const [path, entry] of this.#late) {
      const [parent, name] = splitPath(path);
      const parentFd = this.#directories.get(parent);
      try {
        if ((entry.mode & SPECIAL_BITS) !== 0) this.#kernel.chmodAt(parentFd, name, entry.mode);
        this.#kernel.setTimesAt(parentFd, name, entry.mtime, entry.mtime);
      } catch (error) {
        throw named(entry, error);
      }
    }
    this.#late.clear();
  }

  [Symbol.dispose](): void {
    if (this.#fileFd !== -1) closeSync(this.#fileFd);
    this.#fileFd = -1;
    this.#directories[Symbol.dispose]();
  }

  #inBase(path: string): string {
    const base = this.#options.base ?? "";
    return base === "" ? path : `${base}/${path}`;
  }

  #countEntry(name: string): void {
    this.#entries += 1;
    const limit = this.#options.maxEntries ?? Number.POSITIVE_INFINITY;
    if (this.#entries > limit) throw tooManyEntries(limit, name);
  }

  #rootEntry(entry: TarEntry): void {
    const root = this.#options.root;
    checkRootEntry(entry);
    if (root === undefined) return;
    this.#hasRootEntry = true;
    this.#ownDirectory(entry, root.parentFd, root.name);
    this.#kernel.chmodAt(root.parentFd, root.name, entry.mode);
    this.#setXattrs(entry, root.parentFd, root.name);
  }

  #place(entry: TarEntry, path: string): void {
    const [parent, name] = splitPath(path);
    if (this.#options.isLayer && name.startsWith(WHITEOUT_PREFIX)) {
      this.#whiteout(entry, parent, name);
      return;
    }
    switch (entry.type) {
      case "file":
        this.#openFile(entry, parent, name);
        break;
      case "directory":
        this.#makeDirectory(entry, path, parent, name);
        break;
      case "hard link":
        this.#link(entry, parent, name);
        break;
      case "symlink":
        this.#create(entry, parent, name, (fd) => this.#kernel.symlinkAt(entry.linkName, fd, name));
        this.#finishNode(entry, this.#directories.get(parent), name);
        break;
      case "character device":
        this.#makeNode(entry, parent, name, S_IFCHR);
        break;
      case "block device":
        this.#makeNode(entry, parent, name, S_IFBLK);
        break;
      case "fifo":
        this.#makeNode(entry, parent, name, S_IFIFO);
        break;
    }
  }

  #openFile(entry: TarEntry, parent: string, name: string): void {
    // The mode's special bits come last: chown clears them.
    this.#create(entry, parent, name, (fd) => {
      this.#fileFd = this.#kernel.openAt(fd, name, CREATE, entry.mode & 0o777);
    });
    this.#file = { entry, parentFd: this.#directories.get(parent), name };
  }

  #makeNode(entry: TarEntry, parent: string, name: string, type: number): void {
    this.#create(entry, parent, name, (fd) => {
      const { deviceMajor, deviceMinor } = entry;
      this.#kernel.mknodAt(fd, name, type | (entry.mode & 0o777), deviceMajor, deviceMinor);
    });
    this.#finishNode(entry, this.#directories.get(parent), name);
  }

  /** Owner, mode, attributes and times of everything that is neither file nor directory. */
  #finishNode(entry: TarEntry, parentFd: number, name: string): void {
    const { uid, gid } = this.#options.owner ?? entry;
    if (this.#isForeign(uid, gid)) this.#kernel.chownAt(parentFd, name, uid, gid);
    if (entry.type !== "symlink" && this.#needsChmod(entry)) {
      this.#kernel.chmodAt(parentFd, name, entry.mode);
    }
    this.#setXattrs(entry, parentFd, name);
    this.#kernel.setTimesAt(parentFd, name, entry.mtime, entry.mtime);
  }

  #makeDirectory(entry: TarEntry, path: string, parent: string, name: string): void {
    const isNew = this.#create(entry, parent, name, (fd) =>
      this.#kernel.mkdirAt(fd, name, entry.mode & 0o777),
    );
    const parentFd = this.#directories.get(parent);
    this.#ownDirectory(entry, parentFd, name);
    // The set-group-id bit would hand the group down to what is still to be unpacked: it comes last.
    if (!isNew || !this.#options.isLayer || (entry.mode & 0o777 & this.#umask) !== 0) {
      this.#kernel.chmodAt(parentFd, name, entry.mode & 0o777);
    }
    this.#setXattrs(entry, parentFd, name);
    this.#late.set(path, entry);
  }

  #ownDirectory(entry: TarEntry, parentFd: number, name: string): void {
    const { uid, gid } = this.#options.owner ?? entry;
    this.#kernel.chownAt(parentFd, name, uid, gid);
  }

  #link(entry: TarEntry, parent: string, name: string): void {
    const target = this.#inBase(hardLinkTarget(entry, entryPath(entry.name)));
    const [targetParent, targetName] = splitPath(target);
    this.#create(entry, parent, name, (fd) => {
      try {
        this.#linkTo(targetParent, targetName, fd, name);
      } catch (cause) {
        if (errnoOf(cause) === "EEXIST") throw cause;
        throw unlinkable(entry, cause);
      }
    });
  }

  #linkTo(targetParent: string, targetName: string, parentFd: number, name: string): void {
    // A descriptor of its own: the cache may drop the parent's when asked for another one.
    const targetFd = this.#kernel.openInRoot(
      this.#options.rootFd,
      targetParent,
      constants.O_DIRECTORY | constants.O_RDONLY,
    );
    try {
      this.#kernel.linkAt(targetFd, targetName, parentFd, name);
    } finally {
      this.#kernel.close(targetFd);
    }
  }

  #whiteout(entry: TarEntry, parent: string, name: string): void {
    const whiteout = whiteoutOf(entry, name);
    if (whiteout.kind === "opaque") {
      this.#makeOpaque(parent);
      return;
    }
    if (whiteout.kind === "meta") return;
    const hidden = whiteout.name;
    const parentFd = this.#directories.get(parent);
    try {
      this.#kernel.mknodAt(parentFd, hidden, S_IFCHR, 0, 0);
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
      // This layer has the name too. A file replaces what is below anyway; a directory would show
      // the lower one's content, unless it is opaque.
      if (isDirectory(this.#kernel.statAt(parentFd, hidden))) {
        this.#makeOpaque(parent === "" ? hidden : `${parent}/${hidden}`);
      }
    }
  }

  #makeOpaque(path: string): void {
    // Overlayfs does not look at a layer's root: the store cuts the chain there instead.
    if (path === "") this.#isRootOpaque = true;
    const fd = this.#directories.get(path);
    // "." after the slash, or the attribute would go to the symlink in /proc.
    this.#kernel.setXattr(`${this.#kernel.fdPath(fd)}/.`, OPAQUE_XATTR, OPAQUE_VALUE);
  }

  /** A name that the layer hides below is a directory in the layer itself, not announced by an entry. */
  #replaceWhiteout(parentFd: number, name: string): boolean {
    if (!this.#options.isLayer || !isWhiteout(this.#kernel.statAt(parentFd, name))) return false;
    this.#kernel.unlinkAt(parentFd, name, false);
    this.#kernel.mkdirAt(parentFd, name, 0o755);
    const path = `${this.#kernel.fdPath(parentFd)}/${name}`;
    this.#kernel.setXattr(path, OPAQUE_XATTR, OPAQUE_VALUE);
    return true;
  }

  /**
   * Runs `make` with the parent's descriptor; what is in the way is removed first. Answers false when
   * a directory met a directory, which stays.
   */
  #create(
    entry: TarEntry,
    parent: string,
    name: string,
    make: (parentFd: number) => void,
  ): boolean {
    const parentFd = this.#directories.get(parent);
    try {
      make(parentFd);
      return true;
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
    }
    const existing = this.#kernel.statAt(parentFd, name);
    const [isOld, isNew] = [isDirectory(existing), entry.type === "directory"];
    if (isOld && isNew) return false;
    if (isOld !== isNew && this.#options.noOverwriteDirNonDir === true) {
      const [old, fresh] = isOld ? ["directory", "non-directory"] : ["non-directory", "directory"];
      throw new NaruError(
        "invalid_argument",
        `cannot overwrite ${old} "${name}" with ${fresh} "${entry.name}"`,
      );
    }
    removeTreeAt(this.#kernel, parentFd, name);
    const path = parent === "" ? name : `${parent}/${name}`;
    for (const late of this.#late.keys()) {
      if (late === path || late.startsWith(`${path}/`)) this.#late.delete(late);
    }
    this.#directories.clear();
    make(this.#directories.get(parent));
    if (this.#options.isLayer && isNew && isWhiteout(existing)) this.#makeOpaque(path);
    return true;
  }

  #setXattrs(entry: TarEntry, parentFd: number, name: string): void {
    if (entry.xattrs.size === 0) return;
    const path = `${this.#kernel.fdPath(parentFd)}/${name}`;
    for (const [key, value] of entry.xattrs) {
      checkXattrName(entry, key);
      try {
        this.#kernel.setXattr(path, key, value);
      } catch (error) {
        const errno = errnoOf(error);
        // Only files and directories take user attributes (xattr(7)).
        const isUserOnNode = errno === "EPERM" && key.startsWith("user.");
        if (errno !== "EOPNOTSUPP" && !isUserOnNode) throw error;
        this.#skippedXattrs += 1;
      }
    }
  }

  #isForeign(uid: number, gid: number): boolean {
    // An existing directory with the set-group-id bit hands its group down.
    return !this.#options.isLayer || uid !== this.#ownUid || gid !== this.#ownGid;
  }

  #needsChmod(entry: TarEntry): boolean {
    return (entry.mode & SPECIAL_BITS) !== 0 || (entry.mode & this.#umask) !== 0;
  }
}

/** Says which entry an error of the kernel belongs to. */
const named = (entry: TarEntry | undefined, error: unknown): unknown => {
  if (entry === undefined || !(error instanceof NaruError)) return error;
  if (error.message.startsWith("tar entry ")) return error;
  const isShape = ["ENOTDIR", "ENAMETOOLONG", "ELOOP"].includes(errnoOf(error) ?? "");
  return new NaruError(
    isShape ? "invalid_argument" : error.code,
    `tar entry "${entry.name.slice(0, 256)}": ${error.message}`,
    { cause: error, details: { ...error.details, entry: entry.name.slice(0, 256) } },
  );
};
