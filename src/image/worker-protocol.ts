/** What the daemon and its image worker say to each other: arguments as JSON, then JSON lines back. */
import type { ArchiveFile } from "#image/archive-contents.ts";
import type { WrittenBlob } from "#image/blob-file.ts";
import type { StageResult } from "#image/layer-stage.ts";
import type { ErrorCode } from "#lib/errors.ts";

/** The verb of the second process, see hash-follower.ts. */
export const FOLLOW = "follow";

interface Input {
  /** A file to read; absent: stdin. */
  readonly path?: string;
  /** Ingest directory for what is written. */
  readonly directory: string;
  /** Starts a hash follower. */
  readonly followerCommand: readonly string[];
}

export interface SplitTask extends Input {
  /** `<content>/blobs`. */
  readonly blobs: string;
}
/** Stores a layer tar without its compression as one blob and unpacks it on the way. */
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
  readonly blob: WrittenBlob;
  readonly staged: StageResult;
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
