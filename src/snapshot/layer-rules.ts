/** What a layer's archive may hold and what its names mean, whichever form it is written in (tree-writer.ts, layer-tree.ts). Pure. */
import { NaruError } from "#lib/errors.ts";
import { type TarEntry, badTar } from "#lib/tar/entry.ts";
import { entryPath } from "#snapshot/entry-path.ts";
import {
  OPAQUE_MARKER,
  OVERLAY_XATTR_PREFIX,
  WHITEOUT_META_PREFIX,
  WHITEOUT_PREFIX,
} from "#snapshot/whiteout.ts";

/** What a name that begins with WHITEOUT_PREFIX stands for (image-spec 1.1 layer.md, "Whiteouts"). */
export type Whiteout =
  /** Nothing of the directory it is in shows from below. */
  | { readonly kind: "opaque" }
  /** Something of AUFS's own. */
  | { readonly kind: "meta" }
  | { readonly kind: "hidden"; readonly name: string };

/** Throws invalid_argument for one that hides nothing. */
export const whiteoutOf = (entry: TarEntry, name: string): Whiteout => {
  if (name === OPAQUE_MARKER) return { kind: "opaque" };
  if (name.startsWith(WHITEOUT_META_PREFIX)) return { kind: "meta" };
  const hidden = name.slice(WHITEOUT_PREFIX.length);
  if (hidden === "" || hidden === "." || hidden === "..") {
    throw badTar(entry.name, "is a whiteout of nothing");
  }
  return { kind: "hidden", name: hidden };
};

/** The error of an archive with more entries than are taken. */
export const tooManyEntries = (limit: number, name: string): NaruError =>
  new NaruError(
    "resource_exhausted",
    `the archive has more than ${limit} entries (stopped at "${name.slice(0, 256)}")`,
  );

export const checkRootEntry = (entry: TarEntry): void => {
  if (entry.type !== "directory") throw badTar(entry.name, "would replace the root directory");
};

/** Overlayfs keeps its own state in these: an archive that sets them could show what is hidden. */
export const checkXattrName = (entry: TarEntry, name: string): void => {
  if (!name.startsWith(OVERLAY_XATTR_PREFIX)) return;
  throw badTar(entry.name, `sets "${name}", which only the file system may set`);
};

export const unlinkable = (entry: TarEntry, cause?: unknown): NaruError =>
  new NaruError(
    "invalid_argument",
    `tar entry "${entry.name}" is a hard link to "${entry.linkName}", which cannot be linked`,
    { details: { entry: entry.name }, ...(cause === undefined ? {} : { cause }) },
  );

/** The path that a hard link leads to; the entry's own is `path`, both below the archive's root. Throws invalid_argument. */
export const hardLinkTarget = (entry: TarEntry, path: string): string => {
  const target = entryPath(entry.linkName, entry.name);
  if (target === "" || target === path) throw unlinkable(entry);
  return target;
};
