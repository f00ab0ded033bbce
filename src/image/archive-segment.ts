/** Archives that are about to be sent; part of the manual in `image.ts`. */

/** A finished piece of an archive: bytes, or a range of a file. */
export type ArchiveSegment =
  | { readonly bytes: Uint8Array }
  | { readonly path: string; readonly start: number; readonly end: number };

/** A tar ready to be sent. `await using` it: the files are kept from being removed until then. */
export interface SavedArchive extends Disposable {
  readonly sizeBytes: number;
  /** For senders that can hand files to the kernel. */
  readonly segments: readonly ArchiveSegment[];
  stream(signal: AbortSignal): ReadableStream<Uint8Array>;
}

/** As `SavedArchive`, of what is at a registry. */
export interface ExportedArchive extends AsyncDisposable {
  stream(signal: AbortSignal): ReadableStream<Uint8Array>;
}
