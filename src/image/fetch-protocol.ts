/**
 * What the daemon and a fetch worker say to each other: tasks as JSON lines on stdin (they hold secrets,
 * which an argument would show to everybody), JSON lines back on stdout. One task at a time. The end of stdin
 * ends the worker, whatever it does: the daemon has gone, or does not want it any more.
 */
import type { StageResult } from "#image/layer-stage.ts";
import type { ErrorCode } from "#lib/errors.ts";
import type { RemoteConfig, RemoteState } from "#remote/remote.ts";
import type { LayerForm } from "#snapshot/layer-form.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import type { Digest } from "#spec/image/digest.ts";

/** Where to ask, as whom, and what is known already. */
export interface RegistryAccess {
  readonly config: RemoteConfig;
  readonly state: RemoteState;
  /** The whole name of the repository's image. */
  readonly reference: string;
  readonly credentials: AuthConfig;
}

export interface PullTask extends RegistryAccess {
  readonly kind: "pull";
  readonly blob: Descriptor;
  /** The file it grows in. */
  readonly partial: string;
  /** An empty place for the unpacked layer. Absent: the blob only. */
  readonly stage?: {
    readonly directory: string;
    readonly form: LayerForm;
    readonly diffId: Digest;
  };
}

export interface PushTask extends RegistryAccess {
  readonly kind: "push";
  /** The layer's content: a finished blob, or a tar to be compressed on the way. */
  readonly path: string;
  /** Of the finished blob; absent: compress it. */
  readonly digest?: Digest;
  readonly sizeBytes: number;
}

export type TransferTask = PullTask | PushTask;

export interface PullResult {
  readonly staged?: Exclude<StageResult, { readonly failure: unknown }>;
}
export interface PushResult {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export interface TransferResults {
  readonly pull: PullResult;
  readonly push: PushResult;
}

export type TransferLine =
  | {
      readonly kind: "progress";
      readonly phase: "download" | "extract" | "upload";
      readonly current: number;
      readonly total: number;
    }
  /** The content is what its digest says. */
  | { readonly kind: "verified" }
  | { readonly kind: "result"; readonly result: unknown }
  | {
      readonly kind: "error";
      readonly code: ErrorCode;
      readonly message: string;
      readonly details: Readonly<Record<string, unknown>>;
    };
