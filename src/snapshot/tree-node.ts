/** The nodes of a layer's tree in memory, and finding a directory among them as the kernel would. */
import type { TarTime } from "#lib/tar/entry.ts";
import { S_IFCHR, S_IFDIR } from "#snapshot/whiteout.ts";
import type { ErofsContent, ErofsInode } from "#spec/erofs/image.ts";

/** Beside its bytes a symlink keeps its target as text: later names may lead through it. */
type SymlinkContent = Extract<ErofsContent, { kind: "symlink" }> & { readonly text: string };

export interface DirectoryNode extends ErofsInode {
  mode: number;
  uid: number;
  gid: number;
  mtime: TarTime;
  readonly xattrs: Map<string, Uint8Array>;
  readonly content: { readonly kind: "directory"; readonly children: Map<string, TreeNode> };
  readonly children: Map<string, TreeNode>;
}

export interface LeafNode extends ErofsInode {
  readonly content:
    | Exclude<ErofsContent, { readonly kind: "directory" | "symlink" }>
    | SymlinkContent;
}

export type TreeNode = DirectoryNode | LeafNode;

/** As many links as the kernel follows in one path (path_resolution(7)). */
const LINKS_MAX = 40;

export const directoryNode = (mtime: TarTime): DirectoryNode => {
  const children = new Map<string, TreeNode>();
  const content = { kind: "directory", children } as const;
  return { mode: S_IFDIR | 0o755, uid: 0, gid: 0, mtime, xattrs: new Map(), content, children };
};

export const isDirectoryNode = (node: TreeNode | undefined): node is DirectoryNode =>
  node !== undefined && node.content.kind === "directory";

export const whiteoutNode = (mtime: TarTime): LeafNode => ({
  mode: S_IFCHR,
  uid: 0,
  gid: 0,
  mtime,
  xattrs: new Map(),
  content: { kind: "node", deviceMajor: 0, deviceMinor: 0 },
});

export const isWhiteoutNode = (node: TreeNode | undefined): boolean =>
  node !== undefined &&
  node.content.kind === "node" &&
  (node.mode & 0o170000) === S_IFCHR &&
  node.content.deviceMajor === 0 &&
  node.content.deviceMinor === 0;

/**
 * The directory at `path` with `root` as "/": symlinks are followed and lead nowhere else, as
 * openat2(2) does with RESOLVE_IN_ROOT. undefined: something on the way is missing or no directory.
 */
export const resolveDirectory = (root: DirectoryNode, path: string): DirectoryNode | undefined => {
  const way: DirectoryNode[] = [root];
  const left = path.split("/").toReversed();
  let links = 0;
  while (left.length > 0) {
    const name = left.pop() ?? "";
    if (name === "" || name === ".") continue;
    if (name === "..") {
      if (way.length > 1) way.pop();
      continue;
    }
    const child = way.at(-1)?.children.get(name);
    if (child === undefined) return undefined;
    if (isDirectoryNode(child)) {
      way.push(child);
      continue;
    }
    if (child.content.kind !== "symlink") return undefined;
    links += 1;
    if (links > LINKS_MAX) return undefined;
    const { text } = child.content;
    if (text.startsWith("/")) way.length = 1;
    left.push(...text.split("/").toReversed());
  }
  return way.at(-1);
};
