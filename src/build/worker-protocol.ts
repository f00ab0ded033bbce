/** What the daemon and its build children say to each other: one JSON argument, one JSON line. */
import type { CopyPlan } from "#build/op/copy-plan.ts";
import type { BodyState } from "#spec/http/body-decoder.ts";
import type { ErrorCode } from "#lib/errors.ts";
import type { RootAttributes } from "#snapshot/layer-form.ts";
import type { Digest } from "#spec/image/digest.ts";

/** Where the child finds the descriptor that is handed to it. */
export const HANDED_FD = 3;

/** In the job's place: it comes on stdin, or nothing does. */
export const JOB_FOLLOWS = "-";

export type BuildJob =
  /**
   * stdin: a tar, compressed or not. `listPath`: of a tree that stays, see kept-files.ts. `lent`: the tar goes on in the
   * rest of an HTTP body, which is to be read from the connection that was handed.
   */
  | {
      readonly verb: "receive";
      readonly root: string;
      readonly listPath?: string;
      readonly lent?: BodyState;
    }
  /** The plan is a file: it may name many sources. `tellsOn`: a descriptor that hears of what was made. */
  | { readonly verb: "copy"; readonly planFile: string; readonly tellsOn?: number }
  /** The layer of a copy as its tar with an index, into `directory`; its progress goes to the descriptor that was handed. */
  | {
      readonly verb: "pack";
      readonly planFile: string;
      readonly directory: string;
      readonly mtimeMaxSeconds?: number;
    }
  /** Sums up that tar, as the descriptor that was handed tells of it. */
  | { readonly verb: "sum"; readonly file: string };

/** Empty where the writer has not come to its end. */
export type TarSum =
  | { readonly diffId: Digest; readonly tarBytes: number }
  | { readonly diffId?: never };

/** Or why the layer is to be made by copying. */
export type PackedLayer =
  | { readonly sizeBytes: number; readonly root: RootAttributes }
  | { readonly unsuited: string };

export interface BuildJobResults {
  receive: {
    readonly digests: readonly (readonly [path: string, digest: string])[];
    /** Of the tar. */
    readonly sizeBytes: number;
    readonly hasNoXattrs: boolean;
    /** What was read from the connection beyond the body. */
    readonly restBase64?: string;
  };
  copy: Record<string, never>;
  pack: PackedLayer;
  sum: TarSum;
}

export type { CopyPlan };

export type BuildWorkerAnswer =
  | { readonly result: unknown }
  | { readonly error: { readonly code: ErrorCode; readonly message: string } };
