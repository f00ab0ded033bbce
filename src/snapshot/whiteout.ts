/** How a layer says that something below it is gone: in tars (image-spec 1.1, layer.md) and in overlay. */

export const WHITEOUT_PREFIX = ".wh.";
/** Names that start so are metadata of an old union file system, not whiteouts. */
export const WHITEOUT_META_PREFIX = ".wh..wh.";
export const OPAQUE_MARKER = ".wh..wh..opq";

/** Attributes that overlayfs keeps on upper files; no archive may bring or take them. */
export const OVERLAY_XATTR_PREFIX = "trusted.overlay.";
export const OPAQUE_XATTR = "trusted.overlay.opaque";
export const REDIRECT_XATTR = "trusted.overlay.redirect";
export const METACOPY_XATTR = "trusted.overlay.metacopy";
export const OPAQUE_VALUE: Uint8Array = Buffer.from("y");

export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;

interface Node {
  readonly mode: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
}

/** Overlay's whiteout is a character device 0/0 (kernel, filesystems/overlayfs.rst). */
export const isWhiteout = (node: Node): boolean =>
  (node.mode & S_IFMT) === S_IFCHR && node.rdevMajor === 0 && node.rdevMinor === 0;

export const isDirectory = (node: { readonly mode: number }): boolean =>
  (node.mode & S_IFMT) === S_IFDIR;
