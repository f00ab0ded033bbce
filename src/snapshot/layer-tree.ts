/**
 * The entries of a layer tar as a tree in memory, content left where the archive has it. Stands behind the tar
 * parser as TreeWriter does, and follows the same rules: later entries replace earlier ones, names go through
 * symlinks of the layer, whiteouts take overlay's form. What it makes is written by spec/erofs/image.ts.
 */
import { NaruError } from "#lib/errors.ts";
import { type TarEntry, type TarEntryType, badTar } from "#lib/tar/entry.ts";
import { encodeName } from "#lib/tar/name-bytes.ts";
import type { TarHandler } from "#lib/tar/parser.ts";
import { entryPath } from "#snapshot/entry-path.ts";
import { splitPath } from "#snapshot/directory-cache.ts";
import {
  checkRootEntry,
  checkXattrName,
  hardLinkTarget,
  tooManyEntries,
  unlinkable,
  whiteoutOf,
} from "#snapshot/layer-rules.ts";
import { chunksOf } from "#snapshot/sparse-chunks.ts";
import {
  type DirectoryNode,
  type LeafNode,
  type TreeNode,
  directoryNode,
  isDirectoryNode,
  isWhiteoutNode,
  resolveDirectory,
  whiteoutNode,
} from "#snapshot/tree-node.ts";
import {
  OPAQUE_VALUE,
  OPAQUE_XATTR,
  S_IFBLK,
  S_IFCHR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  WHITEOUT_PREFIX,
} from "#snapshot/whiteout.ts";
import { NAME_MAX_BYTES, TARGET_MAX_BYTES } from "#spec/erofs/layout.ts";
import { canHoldXattr, canHoldXattrs } from "#spec/erofs/xattr.ts";

/** Paths that are remembered before it is forgotten again. */
const CACHE_MAX = 10_000;
const NODE_TYPES = {
  "character device": S_IFCHR,
  "block device": S_IFBLK,
  fifo: S_IFIFO,
} as const;

type LeafType = Exclude<TarEntryType, "directory" | "hard link">;

export interface LayerTreeOptions {
  readonly maxEntries: number;
  /** With more of them the layer is unsuited: nothing is kept of it from then on. */
  readonly indexedEntries?: number;
}

export class LayerTree implements TarHandler {
  readonly root: DirectoryNode = directoryNode({ seconds: 0, nanoseconds: 0 });
  readonly #maxEntries: number;
  readonly #indexedEntries: number;
  readonly #cache = new Map<string, DirectoryNode>();
  #entries = 0;
  #sizeBytes = 0;
  #skippedXattrs = 0;
  #isRootOpaque = false;
  #hasRootEntry = false;
  #unsuited: string | undefined;

  constructor(options: LayerTreeOptions) {
    this.#maxEntries = options.maxEntries;
    this.#indexedEntries = options.indexedEntries ?? Number.POSITIVE_INFINITY;
  }

  /** Sum of the sizes of all files. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }
  get entries(): number {
    return this.#entries;
  }
  /** Attributes of names that no file system here takes. */
  get skippedXattrs(): number {
    return this.#skippedXattrs;
  }
  get isRootOpaque(): boolean {
    return this.#isRootOpaque;
  }
  get hasRootEntry(): boolean {
    return this.#hasRootEntry;
  }
  /** Why an index cannot show this layer, though a directory may; undefined when it can. */
  get unsuited(): string | undefined {
    return this.#unsuited;
  }

  entry(entry: TarEntry, dataOffset: number): void {
    this.#countEntry(entry.name);
    this.#sizeBytes += entry.size;
    if (this.#unsuited !== undefined) return; // It is read through to its end all the same.
    const path = entryPath(entry.name);
    if (path === "") {
      this.#rootEntry(entry);
      return;
    }
    const [parent, name] = splitPath(path);
    this.#place(entry, dataOffset, parent, name);
  }

  data(): void {
    // It stays where it is.
  }

  entryEnd(): void {
    // Everything was said at its beginning.
  }

  #countEntry(name: string): void {
    this.#entries += 1;
    if (this.#entries > this.#indexedEntries) {
      this.#unsuited ??= `it has more than ${this.#indexedEntries} entries`;
      this.root.children.clear();
      this.#cache.clear();
    }
    if (this.#entries > this.#maxEntries) throw tooManyEntries(this.#maxEntries, name);
  }

  #rootEntry(entry: TarEntry): void {
    checkRootEntry(entry);
    this.#hasRootEntry = true;
    this.#describe(this.root, entry);
  }

  #place(entry: TarEntry, dataOffset: number, parent: string, name: string): void {
    if (name.startsWith(WHITEOUT_PREFIX)) {
      this.#whiteout(entry, parent, name);
      return;
    }
    const directory = this.#directory(parent, entry);
    this.#checkName(entry, name);
    if (entry.type === "hard link") {
      this.#link(entry, directory, parent, name);
      return;
    }
    const existing = directory.children.get(name);
    if (entry.type === "directory" && isDirectoryNode(existing)) {
      this.#describe(existing, entry);
      return;
    }
    const { type } = entry;
    const node =
      type === "directory" ? this.#directoryOf(entry) : this.#leaf(entry, type, dataOffset);
    // What is below the layer was hidden by name: it stays hidden behind the directory.
    if (isWhiteoutNode(existing) && isDirectoryNode(node)) {
      node.xattrs.set(OPAQUE_XATTR, OPAQUE_VALUE);
    }
    this.#set(directory, name, node);
  }

  #set(directory: DirectoryNode, name: string, node: TreeNode): void {
    const existing = directory.children.get(name);
    // What was known of paths below the old one, or through it, does not hold any more.
    if (existing !== undefined) this.#cache.clear();
    directory.children.set(name, node);
  }

  #directoryOf(entry: TarEntry): DirectoryNode {
    const node = directoryNode(entry.mtime);
    this.#describe(node, entry);
    return node;
  }

  #leaf(entry: TarEntry, type: LeafType, dataOffset: number): LeafNode {
    const { uid, gid, mtime, deviceMajor, deviceMinor } = entry;
    const xattrs = this.#xattrs(entry, type === "file");
    const base = { uid, gid, mtime, xattrs };
    const permissions = entry.mode & 0o7777;
    switch (type) {
      case "file":
        return { ...base, mode: S_IFREG | permissions, content: this.#content(entry, dataOffset) };
      case "symlink": {
        const content = { kind: type, target: symlinkTarget(entry), text: entry.linkName } as const;
        return { ...base, mode: S_IFLNK | 0o777, content };
      }
      case "character device":
      case "block device":
      case "fifo": {
        const content = { kind: "node", deviceMajor, deviceMinor } as const;
        return { ...base, mode: NODE_TYPES[type] | permissions, content };
      }
    }
  }

  #content(entry: TarEntry, dataOffset: number): LeafNode["content"] {
    if (entry.regions === undefined || entry.size === 0) {
      return { kind: "data", sizeBytes: entry.size, offset: entry.size === 0 ? 0 : dataOffset };
    }
    const chunks = chunksOf(entry.size, entry.regions, dataOffset);
    if (chunks !== undefined) return { kind: "chunks", sizeBytes: entry.size, ...chunks };
    this.#unsuited ??= `the holes of "${entry.name.slice(0, 256)}" do not lie at blocks`;
    return { kind: "data", sizeBytes: 0, offset: 0 };
  }

  /** Sets what an entry says of a directory that is there already. */
  #describe(node: DirectoryNode, entry: TarEntry): void {
    node.mode = (node.mode & ~0o7777) | (entry.mode & 0o7777);
    node.uid = entry.uid;
    node.gid = entry.gid;
    node.mtime = entry.mtime;
    for (const [name, value] of this.#xattrs(entry, true)) node.xattrs.set(name, value);
    if (!canHoldXattrs(node.xattrs)) this.#tooLarge(entry);
  }

  /** Only files and directories take user attributes (xattr(7)). */
  #xattrs(entry: TarEntry, takesUser: boolean): ReadonlyMap<string, Uint8Array> {
    if (entry.xattrs.size === 0) return NONE;
    const taken = new Map<string, Uint8Array>();
    for (const [name, value] of entry.xattrs) {
      checkXattrName(entry, name);
      if (!canHoldXattr(name) || (!takesUser && name.startsWith("user."))) this.#skippedXattrs += 1;
      else taken.set(name, value);
    }
    if (!canHoldXattrs(taken)) this.#tooLarge(entry);
    return taken;
  }

  #tooLarge(entry: TarEntry): void {
    this.#unsuited ??= `the attributes of "${entry.name.slice(0, 256)}" are too large`;
  }

  #link(entry: TarEntry, directory: DirectoryNode, parent: string, name: string): void {
    const target = hardLinkTarget(entry, parent === "" ? name : `${parent}/${name}`);
    const [targetParent, targetName] = splitPath(target);
    const from = resolveDirectory(this.root, targetParent);
    const node = from?.children.get(targetName);
    if (node === undefined || isDirectoryNode(node)) throw unlinkable(entry);
    this.#set(directory, name, node);
  }

  #whiteout(entry: TarEntry, parent: string, name: string): void {
    const whiteout = whiteoutOf(entry, name);
    if (whiteout.kind === "opaque") {
      // Overlayfs does not look at a layer's root: the store cuts the chain there instead.
      if (parent === "") this.#isRootOpaque = true;
      this.#directory(parent, entry).xattrs.set(OPAQUE_XATTR, OPAQUE_VALUE);
      return;
    }
    if (whiteout.kind === "meta") return;
    const hidden = whiteout.name;
    const directory = this.#directory(parent, entry);
    const existing = directory.children.get(hidden);
    // This layer has the name too. A file replaces what is below anyway; a directory would show the
    // lower one's content, unless it is opaque.
    if (existing === undefined) directory.children.set(hidden, whiteoutNode(entry.mtime));
    else if (isDirectoryNode(existing)) existing.xattrs.set(OPAQUE_XATTR, OPAQUE_VALUE);
  }

  /** Made with mode 0755 where it is missing, with the time of the entry that needs it. */
  #directory(path: string, entry: TarEntry): DirectoryNode {
    if (path === "") return this.root;
    const cached = this.#cache.get(path);
    if (cached !== undefined) return cached;
    const found = resolveDirectory(this.root, path) ?? this.#make(path, entry);
    if (this.#cache.size >= CACHE_MAX) this.#cache.clear();
    this.#cache.set(path, found);
    return found;
  }

  #make(path: string, entry: TarEntry): DirectoryNode {
    const [parent, name] = splitPath(path);
    const directory = this.#directory(parent, entry);
    this.#countEntry(path);
    this.#checkName(entry, name);
    const existing = directory.children.get(name);
    if (existing !== undefined && !isWhiteoutNode(existing)) {
      throw new NaruError(
        "invalid_argument",
        `tar entry "${entry.name.slice(0, 256)}": "${path}" is not a directory, so nothing can be unpacked into it`,
        { details: { entry: entry.name.slice(0, 256) } },
      );
    }
    const node = directoryNode(entry.mtime);
    if (existing !== undefined) node.xattrs.set(OPAQUE_XATTR, OPAQUE_VALUE);
    this.#set(directory, name, node);
    return node;
  }

  #checkName(entry: TarEntry, name: string): void {
    // A character takes one to three bytes here: most names need no encoding to be judged.
    if (name.length * 3 <= NAME_MAX_BYTES || encodeName(name).length <= NAME_MAX_BYTES) return;
    throw badTar(entry.name.slice(0, 256), `has a name longer than ${NAME_MAX_BYTES} bytes`);
  }
}

const NONE: Map<string, Uint8Array> = new Map();

const symlinkTarget = (entry: TarEntry): Uint8Array => {
  const target = encodeName(entry.linkName);
  if (target.length === 0 || target.includes(0) || target.length > TARGET_MAX_BYTES) {
    throw badTar(entry.name, `is a symlink to a path of ${target.length} bytes, or with a NUL`);
  }
  return target;
};
