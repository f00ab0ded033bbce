/**
 * A distribution server, without HTTP: the manual of this room. distribution-spec 1.1.1 says what a client may
 * expect; this says what the code may.
 *
 * A *repository* comes into being with its first upload or manifest. A *blob* belongs to the repositories that it
 * was pushed or mounted to, and is stored once. A *manifest* belongs to one repository and is taken only when
 * all that it needs is there. A *tag* names one manifest of its repository.
 *
 * Everything that was acknowledged is on disk: bytes written, synced and renamed, rows committed with a sync.
 * An *upload* is a file under `uploads/` that grows; its size is how far it has come, so one that a killed
 * registry left can be gone on with. Bytes are hashed while they are written; after a restart what is there is
 * hashed again before more is taken. One request at a time may write to an upload.
 *
 * Changes happen in one turn of the thread (look, then row, without an await between), so collection can run
 * at any time: it removes a blob in a turn in which nothing needs it, no commit of it is under way, and nobody
 * was told for a while that it is here.
 *
 * Errors are those of `#spec/distribution/errors.ts`: NAME_UNKNOWN, MANIFEST_UNKNOWN, BLOB_UNKNOWN for what is
 * absent, DENIED for what a rule forbids, TOOMANYREQUESTS for what a bound forbids. Names, tags and digests are
 * given as strings from outside and are checked here. Every method may be called at any time until `close`.
 */
import type { CollectOptions, CollectReport } from "#registry/collect.ts";
import type { RetentionReport } from "#registry/retention-run.ts";
import type { RemoteBytes } from "#registry/storage/storage.ts";
import type { Growth } from "#registry/upstream/growth.ts";
import type { ReferrerRow } from "#metadata/registry/manifests.ts";
import type { Digest } from "#spec/image/digest.ts";

/** One value per manifest as long as it is remembered: what is made of it can be kept beside it. */
export interface Manifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly content: Uint8Array;
}

export interface Blob {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** A file whose bytes never change; it may be unlinked, so open it in the same turn. "" where there is none. */
  readonly path: string;
  /** Set where the bytes are elsewhere. */
  readonly remote?: RemoteBytes;
  /** Set where the bytes are in memory: there is no file then. */
  readonly content?: Uint8Array;
  /** Set while it still arrives from elsewhere: how much of it is there. */
  readonly growth?: Growth;
}

export interface NewManifest {
  /** A tag or a digest. */
  readonly reference: string;
  /** Content-Type of the request. */
  readonly mediaType: string;
  readonly content: Uint8Array;
  /** Further tags, for a push by digest. */
  readonly tags?: readonly string[];
}

export interface StoredManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly subject: Digest | undefined;
  /** All tags that name it because of this push. */
  readonly tags: readonly string[];
}

export interface Page<T> {
  readonly items: readonly T[];
  /** What to give as `last` for the next page; undefined when this was the last one. */
  readonly next: string | undefined;
}

export interface PageQuery {
  readonly last?: string | undefined;
  /** undefined: as many as a page may have. */
  readonly limit?: number | undefined;
}

export interface UploadStatus {
  readonly id: string;
  readonly repository: string;
  /** Bytes that are there: the next one has this offset. */
  readonly offsetBytes: number;
}

export interface UploadChunk {
  readonly source: AsyncIterable<Uint8Array>;
  /** Offset of its first byte; undefined: wherever the upload is. */
  readonly firstByte?: number | undefined;
  readonly lengthBytes?: number | undefined;
}

export interface Uploads {
  /** `algorithm`: of the digest that will be given at the end, where the client knows it. */
  start(repository: string, algorithm?: string): UploadStatus;
  status(repository: string, id: string): UploadStatus;
  /** Resolves when the bytes are on disk. A source that fails leaves what came before it. */
  append(repository: string, id: string, chunk: UploadChunk): Promise<UploadStatus>;
  /** Adds the last bytes, checks, and makes it a blob. A wrong digest ends the upload. */
  finish(
    repository: string,
    id: string,
    digest: string,
    chunk: UploadChunk | undefined,
  ): Promise<Blob>;
  /** The whole blob in one request. */
  whole(repository: string, digest: string, chunk: UploadChunk): Promise<Blob>;
  cancel(repository: string, id: string): Promise<void>;
  readonly count: number;
}

export interface ReferrersQuery extends PageQuery {
  readonly artifactType?: string | undefined;
}

export interface MountSource {
  readonly digest: string;
  /** undefined: any repository that `mayRead` allows. */
  readonly from: string | undefined;
  readonly mayRead: (repository: string) => boolean;
}

export interface Totals {
  readonly repositories: number;
  readonly manifests: number;
  readonly tags: number;
  readonly blobs: number;
  readonly blobBytes: number;
  readonly uploads: number;
}

export interface Registry {
  /** Where it is undefined, pushing is refused: the store belongs to somebody else. */
  readonly uploads: Uploads | undefined;
  repositories(query: PageQuery): Page<string>;
  tags(repository: string, query: PageQuery): Page<string> | Promise<Page<string>>;
  /** Where a mirror keeps repository `name` of the registry `namespace`; undefined: it mirrors no such one. */
  repositoryFor(namespace: string, name: string): string | undefined;
  /** What is not here may be fetched from the repository's upstream. */
  manifest(repository: string, reference: string): Manifest | Promise<Manifest>;
  blob(repository: string, digest: string): Blob | Promise<Blob>;
  referrers(
    repository: string,
    digest: string,
    query: ReferrersQuery,
  ): Page<ReferrerRow> | Promise<Page<ReferrerRow>>;
  putManifest(repository: string, manifest: NewManifest): StoredManifest;
  /** undefined when there is no such blob to be read: upload it. */
  mount(repository: string, source: MountSource): Blob | undefined;
  /** A tag goes alone; a digest takes its tags with it. Returns the tags that are gone. */
  deleteManifest(repository: string, reference: string): readonly string[];
  deleteBlob(repository: string, digest: string): void;
  totals(): Totals;
  collect(options: CollectOptions): Promise<CollectReport>;
  /** Applies the retention rules, or says what they would remove. */
  retain(options: { readonly isDryRun: boolean }): Promise<RetentionReport>;
  close(): Promise<void>;
}
