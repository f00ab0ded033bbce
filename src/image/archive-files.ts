/** The files of an image archive as a worker stored them: found by path, through links. Pure. */
import type { StageResult } from "#image/layer-stage.ts";
import { NaruError } from "#lib/errors.ts";
import { CONTAINERD_NAME, type Descriptor, REF_NAME } from "#spec/image/descriptor.ts";
import { type Digest, algorithmOf, hexOf } from "#spec/image/digest.ts";
import { checkArchivePath } from "#spec/image/docker-archive.ts";
import { formatReference, parseReference, withDefaultTag } from "#spec/image/reference.ts";

/** One regular file of the archive, stored or known already. */
export interface ArchiveFile {
  /** sha256 of the bytes, or whatever algorithm its path under blobs/ names. */
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Where it was written, or linked from the store; undefined for what is text alone. */
  readonly file?: string;
  /** The text of a small JSON document. */
  readonly text?: string;
  /** Of everything else, by its first bytes: "none", "gzip", "zstd", "xz" or "bzip2". */
  readonly compression?: string;
  /** Of a plain layer tar: where it was unpacked, or why it could not be. */
  readonly staged?: StageResult;
}

export interface ArchiveContents {
  /** By clean path. */
  readonly files: ReadonlyMap<string, ArchiveFile>;
  /** Links by clean path; targets as clean paths. */
  readonly links: ReadonlyMap<string, string>;
}

/** A manifest as it is in the archive, word for word. */
export interface ArchiveDocument {
  readonly text: string;
  readonly mediaType: string;
}

const LINKS_MAX = 8;

/** Throws invalid_argument. */
export const refuse = (reason: string): never => {
  throw new NaruError("invalid_argument", `invalid image archive: ${reason}`);
};

/** Through links. Refuses what is missing. */
export const findFile = (contents: ArchiveContents, path: string): ArchiveFile => {
  let at = path;
  for (let count = 0; count < LINKS_MAX; count += 1) {
    const target = contents.links.get(at);
    if (target === undefined) break;
    at = target;
  }
  return contents.files.get(at) ?? refuse(`"${path}" is missing`);
};

export const textOf = (file: ArchiveFile, path: string): string =>
  file.text ?? refuse(`"${path}" is not a JSON document`);

/** `blobs/<algorithm>/<hex>` must hold what the name says, whoever points there. */
export const checkBlobNames = (contents: ArchiveContents): void => {
  for (const [path, file] of contents.files) {
    const match = /^blobs\/([^/]+)\/([^/]+)$/.exec(path);
    if (match !== null && `${match[1]}:${match[2]}` !== file.digest) {
      refuse(`"${path}" has the digest ${file.digest}: it is damaged or was changed`);
    }
  }
};

/** Resolves a link inside the archive to a clean path. Throws invalid_argument when it leads out. */
export const linkTarget = (path: string, target: string, isHardLink: boolean): string => {
  if (isHardLink) return checkArchivePath(target);
  if (target.startsWith("/")) return refuse(`link "${path}" leads out of it`);
  const parts = path.split("/").slice(0, -1);
  for (const part of target.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return refuse(`link "${path}" leads out of it`);
  }
  return checkArchivePath(parts.join("/"));
};

export const blobPath = (digest: Digest): string => `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;

export const findBlob = (contents: ArchiveContents, descriptor: Descriptor): ArchiveFile => {
  const path = blobPath(descriptor.digest);
  const file = findFile(contents, path);
  if (file.sizeBytes !== descriptor.size) {
    refuse(`"${path}" has ${file.sizeBytes} bytes, its descriptor says ${descriptor.size}`);
  }
  return file;
};

export const readDocument = (contents: ArchiveContents, descriptor: Descriptor): string =>
  textOf(findBlob(contents, descriptor), blobPath(descriptor.digest));

/** A bare tag ("3.20") says nothing about the repository, so it gives no name. */
export const referenceOf = (descriptor: Descriptor): string | undefined => {
  const name = descriptor.annotations?.[CONTAINERD_NAME] ?? descriptor.annotations?.[REF_NAME];
  if (name === undefined || !/[/:]/.test(name)) return undefined;
  return formatReference(withDefaultTag(parseReference(name)));
};
