/**
 * Where a registry's blobs are: the manual. Rows say which blobs there are and who needs them; a storage keeps bytes by
 * digest and knows nothing else. One on the local disk (`disk.ts`), one in a bucket (`s3.ts`); both keep one contract
 * (`storage.suite.ts`).
 *
 * A blob comes as a finished file that was hashed and synced. `adopt` resolves when it is stored for good; the file
 * is gone then, and stays when it fails. Adopting what is there already is no error. `delete` is said in the turn in
 * which nothing needs the blob; the bytes go afterwards, and always before an `adopt` of the same digest that
 * comes later. What a crash leaves behind is found by `walk`.
 */
import type { Digest } from "#spec/image/digest.ts";

export interface StoredBytes {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly changedAtMs: number;
}

/** Bytes that are not a file here. */
export interface RemoteBytes {
  /** A link with which a client may fetch it for a while without us; undefined: it comes through us. */
  readonly link: string | undefined;
  /** Throws unavailable, also when it ends too early. */
  read(first: number, sizeBytes: number): AsyncIterable<Uint8Array>;
}

export type Location = { readonly path: string } | { readonly remote: RemoteBytes };

export interface BlobStorage extends AsyncDisposable {
  adopt(file: string, digest: Digest, sizeBytes: number): Promise<void>;
  /** Of a blob that rows say is here. */
  locate(digest: Digest): Location;
  delete(digest: Digest): void;
  walk(): AsyncIterable<StoredBytes>;
}
