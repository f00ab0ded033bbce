/**
 * Takes an image archive apart as it streams by: JSON documents are kept as text, everything else
 * goes to files of the ingest. Runs in the worker; what the files mean is decided later
 * (archive-contents.ts), because an archive may name its parts last.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { type ArchiveContents, type ArchiveFile, linkTarget } from "#image/archive-contents.ts";
import { BlobFile } from "#image/blob-file.ts";
import { NaruError } from "#lib/errors.ts";
import type { TarEntry } from "#lib/tar/entry.ts";
import type { TarHandler } from "#lib/tar/parser.ts";
import { digestOf, isDigest, parseDigest } from "#spec/image/digest.ts";
import { checkArchivePath } from "#spec/image/docker-archive.ts";

const DOCUMENT_MAX_BYTES = 4 * 1024 * 1024;
const DOCUMENTS_MAX_BYTES = 64 * 1024 * 1024;
const ENTRIES_MAX = 50_000;
const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;

export interface SplitterOptions {
  /** Files are made here. */
  readonly directory: string;
  /** Path of a blob in the store, by digest: such content is not written again. */
  readonly blobPath: (digest: string) => string;
  /** How much of the current file is through. */
  readonly onProgress: (path: string, current: number, total: number) => void;
}

interface Current {
  readonly path: string;
  readonly total: number;
  done: number;
  /** The bytes, for documents. */
  document?: Buffer;
  blob?: BlobFile;
  known?: ArchiveFile;
}

const nameDigest = (path: string): string | undefined => {
  const match = /^blobs\/([^/]+)\/([^/]+)$/.exec(path);
  const digest = match === null ? "" : `${match[1]}:${match[2]}`;
  return isDigest(digest) ? digest : undefined;
};

export class ArchiveSplitter implements TarHandler, Disposable {
  readonly #options: SplitterOptions;
  readonly #files = new Map<string, ArchiveFile>();
  readonly #links = new Map<string, string>();
  #entries = 0;
  #documentBytes = 0;
  #current: Current | undefined;

  constructor(options: SplitterOptions) {
    this.#options = options;
  }

  get contents(): ArchiveContents {
    return { files: this.#files, links: this.#links };
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
    switch (entry.type) {
      case "file":
        if (entry.regions !== undefined) throw this.#refused(path, "is a sparse file");
        this.#current = { path, total: entry.size, done: 0 };
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
    if (current === undefined || bytes.length === 0) return;
    if (current.done === 0) this.#open(current, bytes[0] ?? 0);
    if (current.document !== undefined) current.document.set(bytes, current.done);
    current.blob?.write(bytes);
    current.done += bytes.length;
    this.#options.onProgress(current.path, current.done, current.total);
  }

  #open(current: Current, firstByte: number): void {
    const { path, total } = current;
    const isJson = firstByte === OPEN_BRACE || firstByte === OPEN_BRACKET;
    if (isJson && total <= DOCUMENT_MAX_BYTES) {
      this.#documentBytes += total;
      if (this.#documentBytes > DOCUMENTS_MAX_BYTES) {
        throw new NaruError("resource_exhausted", "image archive holds too many JSON documents");
      }
      current.document = Buffer.alloc(total);
      return;
    }
    const digest = nameDigest(path);
    const stored =
      digest === undefined
        ? undefined
        : statSync(this.#options.blobPath(digest), { throwIfNoEntry: false });
    if (digest !== undefined && stored?.size === total) {
      current.known = { digest: parseDigest(digest), sizeBytes: total };
      return;
    }
    const algorithm = digest?.startsWith("sha512:") === true ? "sha512" : "sha256";
    current.blob = new BlobFile(join(this.#options.directory, `${this.#entries}`), algorithm);
  }

  entryEnd(): void {
    const current = this.#current;
    if (current === undefined) return;
    this.#current = undefined;
    this.#links.delete(current.path);
    this.#files.set(current.path, this.#close(current));
  }

  #close({ path, document, blob, known }: Current): ArchiveFile {
    if (known !== undefined) return known;
    if (blob !== undefined) return blob.finish();
    const bytes = document ?? Buffer.alloc(0);
    const algorithm = nameDigest(path)?.startsWith("sha512:") === true ? "sha512" : "sha256";
    const digest =
      algorithm === "sha256"
        ? digestOf(bytes)
        : parseDigest(`sha512:${new Bun.CryptoHasher("sha512").update(bytes).digest("hex")}`);
    return { digest, sizeBytes: bytes.length, text: bytes.toString("utf8") };
  }

  [Symbol.dispose](): void {
    this.#current?.blob?.[Symbol.dispose]();
  }
}
