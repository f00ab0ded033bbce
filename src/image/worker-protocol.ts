/** What the daemon and its image worker say to each other: arguments as JSON, then JSON lines back. */
import type { ArchiveFile } from "#image/archive-contents.ts";
import type { ErrorCode } from "#lib/errors.ts";
import type { Digest } from "#spec/image/digest.ts";

interface Input {
  /** A file to read; absent: stdin. */
  readonly path?: string;
  /** Ingest directory for what is written. */
  readonly directory: string;
}

export interface SplitTask extends Input {
  /** `<content>/blobs`. */
  readonly blobs: string;
}
/** Stores the archive without its compression as one blob, `<directory>/blob`. */
export type ReceiveTask = Input;

export interface WorkerTasks {
  readonly split: SplitTask;
  readonly receive: ReceiveTask;
}

export interface SplitResult {
  readonly files: readonly (readonly [path: string, file: ArchiveFile])[];
  readonly links: readonly (readonly [path: string, target: string])[];
}
export interface ReceiveResult {
  readonly file: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export interface WorkerResults {
  readonly split: SplitResult;
  readonly receive: ReceiveResult;
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
