/** What POST /naru/build tells while it works: a JSON value a line. */
export interface BuildStep {
  readonly index: number;
  readonly text: string;
  /** Absent for ARGs before the first FROM. */
  readonly stage?: string;
  readonly line: number;
}

/** What an engine's naru/build understands; older engines have no such answer. */
export interface BuildFeaturesBody {
  readonly version: string;
  readonly features: readonly string[];
}

export interface BuildWarning {
  readonly rule: string;
  readonly message: string;
  readonly line: number;
}

export type BuildMessage =
  /** First of all where the client told facts: numbers of those whose content is wanted. */
  | { readonly kind: "wanted"; readonly wanted: readonly number[] }
  | { readonly kind: "plan"; readonly steps: readonly BuildStep[] }
  | { readonly kind: "start"; readonly step: number }
  | { readonly kind: "run"; readonly step: number; readonly id: string; readonly why: string }
  /** A trigger of the base begins within its FROM, or has ended where `isCached` says how. */
  | {
      readonly kind: "trigger";
      readonly step: number;
      readonly text: string;
      readonly number: number;
      readonly total: number;
      readonly isCached?: boolean;
    }
  /** `data` is base64. */
  | {
      readonly kind: "output";
      readonly step: number;
      readonly stream: 1 | 2;
      readonly data: string;
    }
  | {
      readonly kind: "transfer";
      readonly step: number;
      readonly transfer: {
        readonly status: string;
        readonly id?: string;
        readonly current?: number;
        readonly total?: number;
      };
    }
  | {
      readonly kind: "done";
      readonly step: number;
      readonly isCached: boolean;
      readonly imageId?: string;
      readonly durationMs: number;
    }
  | { readonly kind: "failed"; readonly step: number; readonly message: string }
  | { readonly kind: "unused-args"; readonly names: readonly string[] }
  /** What became of a cache of elsewhere. */
  | { readonly kind: "cache"; readonly text: string }
  /** A piece of the tar that goes into the directory of a `--cache-to`, in base64; "" ends it. */
  | { readonly kind: "cache-data"; readonly position: number; readonly data: string }
  /** What follows is built for it, with a plan of its own: engines that build for one platform after the other. */
  | { readonly kind: "platform"; readonly platform: string }
  /** A piece of an output's bytes, in base64; "" ends it. */
  | { readonly kind: "output-data"; readonly position: number; readonly data: string }
  | {
      readonly kind: "result";
      readonly imageId: string;
      readonly tags: readonly string[];
      /** What exporters tell. */
      readonly metadata?: Readonly<Record<string, string>>;
      /** What a check of the Dockerfile found, where it was asked for. */
      readonly warnings?: readonly BuildWarning[];
    }
  | {
      readonly kind: "error";
      readonly code: string;
      readonly message: string;
      readonly step?: BuildStep;
      readonly details?: Readonly<Record<string, unknown>>;
    };
