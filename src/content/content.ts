/**
 * Blobs by digest: the manual of this room.
 *
 * A blob is a file `blobs/<algorithm>/<hex>`, mode 0600, never changed after it appeared. It appears
 * by rename after its bytes were hashed and fsynced, so whoever finds the path may trust the bytes.
 * Writing a blob that is there already is no error and changes nothing: "the content is stored" is
 * what a write promises, not "this call stored it".
 *
 * Work in progress lives in `ingest/<name>/`, one directory per operation, owned by the `Ingest`
 * handle: disposing of it removes the directory and whatever was not committed. What a killed daemon
 * leaves there is removed by `sweepIngests` at start, before any new ingest.
 *
 * The store knows nothing of who needs a blob: rows in metadata/ and leases do. `delete` is for
 * callers that looked there.
 */
import type { Digest } from "#spec/image/digest.ts";

export interface BlobInfo {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly path: string;
}

export interface Expected {
  readonly digest?: Digest;
  readonly sizeBytes?: number;
}

/** A private directory for one operation. `await using` it. */
export interface Ingest extends AsyncDisposable {
  /** Absolute, on the same file system as the blobs. */
  readonly directory: string;
  /**
   * Makes a finished file of this ingest (written, hashed, fsynced by whoever wrote it, such as a worker)
   * a blob. Synchronous, so that a row naming the blob can be committed in the same turn.
   * Throws data_loss when the file's size is not `sizeBytes`.
   */
  commit(file: string, digest: Digest, sizeBytes: number): BlobInfo;
}

export interface ReadRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

export interface Content {
  /** For workers, which look blobs up by themselves: `<blobsDirectory>/<algorithm>/<hex>`. */
  readonly blobsDirectory: string;
  /** Where the blob is or would be. */
  path(digest: Digest): string;
  /** undefined when absent. One stat(2). */
  info(digest: Digest): BlobInfo | undefined;
  /** The whole blob; for documents. Absent: not_found; larger than `maxBytes`: resource_exhausted. */
  readText(digest: Digest, maxBytes?: number): string;
  /** Streams without loading into memory. Absent: not_found at once. */
  stream(digest: Digest, range?: ReadRange): ReadableStream<Uint8Array>;
  /** For small documents (configs, manifests): hashed, written and synced before it returns. */
  write(content: string | Uint8Array, expected?: Expected): BlobInfo;
  /**
   * For anything else that arrives in this process: hashes chunk by chunk as it comes, so the thread is
   * never held long. A digest or size that differs from `expected` throws data_loss and stores nothing.
   */
  writeStream(
    source: AsyncIterable<Uint8Array>,
    expected?: Expected,
    signal?: AbortSignal,
  ): Promise<BlobInfo>;
  /**
   * As `Ingest.commit`, for a finished file anywhere on the same file system; does not hold the thread while the
   * directory is synced. Until the caller's row is there nobody may sweep: it has to see to that.
   */
  adopt(file: string, digest: Digest, sizeBytes: number): Promise<BlobInfo>;
  /** Hashes the stored bytes again; false when they are not what the name says. */
  verify(digest: Digest, signal?: AbortSignal): Promise<boolean>;
  /** Absent is no error. Open readers keep their bytes. */
  delete(digest: Digest): void;
  walk(): Generator<BlobInfo, void>;
  openIngest(): Ingest;
  /**
   * Where a blob that arrives over the network grows: `partial/<algorithm>-<hex>`. It survives the daemon, so
   * that the next try goes on where this one stopped. One writer at a time; nobody may trust its bytes.
   */
  partialPath(digest: Digest): string;
  /**
   * Makes finished, hashed and synced partials blobs, with one sync for all; data_loss when the size of one is not
   * `sizeBytes`. Synchronous, as `Ingest.commit`.
   */
  commitPartials(blobs: readonly Omit<BlobInfo, "path">[]): void;
  /** Removes partials that nobody wrote to for `ageMs`, but those that `isWanted`. Returns their bytes. */
  sweepPartials(ageMs: number, isWanted?: (digest: Digest) => boolean): number;
  /** Removes what a killed daemon left half-made. Returns how many ingests there were. */
  sweepIngests(): number;
}
