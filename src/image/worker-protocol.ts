/** What the daemon and its image worker say to each other: arguments as JSON, then JSON lines back. */
import type { ArchiveFile } from "#image/archive-files.ts";
import type { WrittenBlob } from "#image/blob-file.ts";
import type { StageResult } from "#image/layer-stage.ts";
import type { ErrorCode } from "#lib/errors.ts";
import type { LayerForm } from "#snapshot/layer-form.ts";
import type { Digest } from "#spec/image/digest.ts";

/** The verb of the second process, see hash-follower.ts. */
export const FOLLOW = "follow";
/** The verb of fetch-worker.ts. */
export const FETCH = "fetch";

interface Input {
  /** A file to read; absent: stdin. */
  readonly path?: string;
  /** Ingest directory for what is written. */
  readonly directory: string;
  /** How layers are to be made. */
  readonly form: LayerForm;
  /** Starts a hash follower. */
  readonly followerCommand: readonly string[];
}

export interface SplitTask extends Input {
  /** `<content>/blobs`. */
  readonly blobs: string;
}
/** Stores a layer tar without its compression as one blob and unpacks it on the way. */
export type ReceiveTask = Input;

/** Makes a layer of the plain tar on stdin in `directory`, which it makes too, and hashes it. */
export interface StageTask {
  readonly directory: string;
  readonly form: LayerForm;
}

/**
 * The same of a gzip or a plain tar in a file that still grows. On stdin come lines of how many of its bytes are
 * there; the end of stdin ends the work. Indexed layers are hashed by the asker, who follows `UnpackLine`s in
 * the layer's own tar; it is there from the first line on.
 */
export interface UnpackTask {
  readonly file: string;
  readonly sizeBytes: number;
  readonly directory: string;
  readonly form: LayerForm;
}

export interface WorkerTasks {
  readonly split: SplitTask;
  readonly receive: ReceiveTask;
  readonly stage: StageTask;
  readonly unpack: UnpackTask;
}

export interface SplitResult {
  readonly files: readonly (readonly [path: string, file: ArchiveFile])[];
  readonly links: readonly (readonly [path: string, target: string])[];
}
export interface ReceiveResult {
  readonly blob: WrittenBlob;
  readonly staged: StageResult;
}

export interface UnpackResult {
  readonly staged: StageResult;
  /** Absent: the asker hashed the tar. */
  readonly diffId?: Digest;
}

export interface WorkerResults {
  readonly split: SplitResult;
  readonly receive: ReceiveResult;
  readonly stage: UnpackResult;
  readonly unpack: UnpackResult;
}

export type WorkerVerb = keyof WorkerTasks;

export type WorkerLine =
  | {
      readonly kind: "progress";
      readonly path: string;
      readonly current: number;
      readonly total: number;
    }
  | { readonly kind: "result"; readonly result: unknown }
  | { readonly kind: "error"; readonly code: ErrorCode; readonly message: string };

/** How far an `unpack` is: compressed bytes taken, bytes of the tar written. */
export type UnpackLine =
  | { readonly kind: "unpacked"; readonly taken: number; readonly written: number }
  | WorkerLine;
