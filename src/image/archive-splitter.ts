/**
 * Takes an image archive apart as it streams by: JSON documents are kept as text, everything else
 * goes to files of the ingest, and what looks like a layer is unpacked on the way. Runs in the worker;
 * what the files mean is decided later (archive-contents.ts), because an archive may name its parts last.
 */
import { linkSync, statSync } from "node:fs";
import { join } from "node:path";
import { type ArchiveContents, type ArchiveFile, linkTarget } from "#image/archive-files.ts";
import type { BlobFile, BlobFiles } from "#image/blob-file.ts";
import { LayerStage } from "#image/layer-stage.ts";
import { NaruError } from "#lib/errors.ts";
import { BLOCK_BYTES, type TarEntry } from "#lib/tar/entry.ts";
import type { TarHandler } from "#lib/tar/parser.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import type { LayerForm } from "#snapshot/layer-form.ts";
import { detectCompression } from "#snapshot/compression.ts";
import { digestOf, isDigest, parseDigest } from "#spec/image/digest.ts";
import { checkArchivePath } from "#spec/image/docker-archive.ts";

const DOCUMENT_MAX_BYTES = 4 * 1024 * 1024;
const DOCUMENTS_MAX_BYTES = 64 * 1024 * 1024;
const ENTRIES_MAX = 50_000;

export interface SplitterOptions {
  readonly kernel: FileKernel;
  readonly blobs: BlobFiles;
  /** Files are made here. */
  readonly directory: string;
  readonly form: LayerForm;
  /** Path of a blob in the store, by digest: such content is not written again, but kept by a link of the ingest's own. */
  readonly blobPath: (digest: string) => string;
  /** How much of the current file is through. */
  readonly onProgress: (path: string, current: number, total: number) => void;
}

interface Current {
  readonly path: string;
  readonly total: number;
  done: number;
  /** First bytes, until there are enough of them to tell what it is. */
  head: Buffer | undefined;
  document?: Buffer;
  blob?: BlobFile;
  stage?: LayerStage;
  known?: ArchiveFile;
  compression?: string;
}

const nameDigest = (path: string): string | undefined => {
  const match = /^blobs\/([^/]+)\/([^/]+)$/.exec(path);
  const digest = match === null ? "" : `${match[1]}:${match[2]}`;
  return isDigest(digest) ? digest : undefined;
};

const looksLikeJson = (head: Uint8Array): boolean => head[0] === 0x7b || head[0] === 0x5b;

/** POSIX and GNU headers both say "ustar" (pax(1)); an empty archive is all zeros. */
const looksLikeTar = (head: Buffer): boolean =>
  head.length >= BLOCK_BYTES &&
  (head.toString("latin1", 257, 262) === "ustar" || head.every((byte) => byte === 0));

/** False where the blob has just been removed, or takes no more links: then it is written like any other. */
const isLinked = (blob: string, file: string): boolean => {
  try {
    linkSync(blob, file);
    return true;
  } catch (error) {
    const { code = "" } = error as { code?: string };
    if (["ENOENT", "EMLINK", "EXDEV"].includes(code)) return false;
    throw error;
  }
};

export class ArchiveSplitter implements TarHandler, Disposable {
  readonly #options: SplitterOptions;
  readonly #files = new Map<string, () => ArchiveFile>();
  readonly #links = new Map<string, string>();
  #entries = 0;
  #documentBytes = 0;
  #current: Current | undefined;

  constructor(options: SplitterOptions) {
    this.#options = options;
  }

  /** To be called once, after the last entry: waits for the hashes. */
  finish(): ArchiveContents {
    const files = new Map<string, ArchiveFile>();
    for (const [path, result] of this.#files) files.set(path, result());
    return { files, links: this.#links };
  }

  entry(entry: TarEntry): void {
    this.#current = undefined;
    this.#entries += 1;
    if (this.#entries > ENTRIES_MAX) {
      throw new NaruError("invalid_argument", `image archive has more than ${ENTRIES_MAX} entries`);
    }
    // "./" is how tar writes the directory it was started in.
    if (entry.type === "directory") return;
    const path = checkArchivePath(entry.name);
    if (this.#files.has(path) || this.#links.has(path)) {
      throw this.#refused(path, "is in it twice");
    }
    switch (entry.type) {
      case "file":
        if (entry.regions !== undefined) throw this.#refused(path, "is a sparse file");
        this.#current = { path, total: entry.size, done: 0, head: Buffer.alloc(0) };
        return;
      case "symlink":
      case "hard link":
        this.#links.set(path, linkTarget(path, entry.linkName, entry.type === "hard link"));
        return;
      case "character device":
      case "block device":
      case "fifo":
        throw this.#refused(path, `is a ${entry.type}`);
    }
  }

  #refused(path: string, reason: string): NaruError {
    return new NaruError("invalid_argument", `invalid image archive: "${path}" ${reason}`);
  }

  data(bytes: Uint8Array): void {
    const current = this.#current;
    if (current === undefined) return;
    if (current.head === undefined) {
      this.#take(current, bytes);
    } else {
      current.head = Buffer.concat([current.head, bytes]);
      if (current.head.length < Math.min(BLOCK_BYTES, current.total)) return;
      const head = current.head;
      current.head = undefined;
      this.#open(current, head);
      this.#take(current, head);
    }
    this.#options.onProgress(current.path, current.done, current.total);
  }

  #take(current: Current, bytes: Uint8Array): void {
    if (current.document !== undefined) current.document.set(bytes, current.done);
    current.blob?.write(bytes);
    current.stage?.push(bytes);
    current.done += bytes.length;
  }

  #open(current: Current, head: Buffer): void {
    const { path, total } = current;
    if (looksLikeJson(head) && total <= DOCUMENT_MAX_BYTES) {
      this.#documentBytes += total;
      if (this.#documentBytes > DOCUMENTS_MAX_BYTES) {
        throw new NaruError("resource_exhausted", "image archive holds too many JSON documents");
      }
      current.document = Buffer.alloc(total);
      return;
    }
    const { blobPath, blobs, directory, kernel } = this.#options;
    current.compression = detectCompression(head);
    const digest = nameDigest(path);
    const stored =
      digest === undefined ? undefined : statSync(blobPath(digest), { throwIfNoEntry: false });
    const file = join(directory, `${this.#entries}`);
    if (digest !== undefined && stored?.size === total && isLinked(blobPath(digest), file)) {
      const { compression } = current;
      current.known = { file, digest: parseDigest(digest), sizeBytes: total, compression };
      return;
    }
    const algorithm = digest?.startsWith("sha512:") === true ? "sha512" : "sha256";
    current.blob = blobs.create(file, total, algorithm);
    if (looksLikeTar(head)) {
      const { form } = this.#options;
      current.stage = new LayerStage({ kernel, form, directory: `${file}.layer`, tar: file });
    }
  }

  entryEnd(): void {
    const current = this.#current;
    if (current === undefined) return;
    this.#current = undefined;
    this.#files.set(current.path, this.#close(current));
  }

  #close({ path, document, blob, stage, known, compression = "none" }: Current): () => ArchiveFile {
    if (known !== undefined) return () => known;
    if (blob !== undefined) {
      const written = blob.close();
      const staged = stage?.finish();
      return () => ({
        ...written(),
        compression,
        ...(staged === undefined ? {} : { staged }),
      });
    }
    const bytes = document ?? Buffer.alloc(0);
    const algorithm = nameDigest(path)?.startsWith("sha512:") === true ? "sha512" : "sha256";
    const digest =
      algorithm === "sha256"
        ? digestOf(bytes)
        : parseDigest(`sha512:${new Bun.CryptoHasher("sha512").update(bytes).digest("hex")}`);
    return () => ({ digest, sizeBytes: bytes.length, text: bytes.toString("utf8") });
  }

  [Symbol.dispose](): void {
    this.#current?.blob?.[Symbol.dispose]();
    this.#current?.stage?.[Symbol.dispose]();
  }
}
