/** What the daemon and its snapshot children say to each other. */
import { type ErrorCode, NaruError } from "#lib/errors.ts";
import type { AppliedLayer } from "#snapshot/apply.ts";
import type { FilePart } from "#snapshot/layer-file.ts";
import type { LayerForm, RootAttributes } from "#snapshot/layer-form.ts";
import type { DiffTarResult } from "#snapshot/snapshot.ts";
import type { Digest } from "#spec/image/digest.ts";

export interface ApplyJob {
  readonly kind: "apply";
  /** A directory that is there: the layer's files come into it. */
  readonly target: string;
  readonly form: LayerForm;
  readonly source: FilePart | "stdin";
  readonly diffId?: Digest;
  readonly maxBytes?: number;
  readonly maxEntries?: number;
}

export interface DiffJob {
  readonly kind: "diff";
  readonly upper: string;
  readonly lower?: string;
  readonly hiddenPaths: readonly string[];
  /** Made new, mode 0600; stdout when absent. */
  readonly file?: string;
  /** The sums alone are wanted. */
  readonly isSumOnly?: boolean;
}

export interface ExportJob {
  readonly kind: "export";
  readonly root: string;
  readonly file?: string;
}

/** Reads an indexed layer's two files again. */
export interface VerifyJob {
  readonly kind: "verify";
  readonly directory: string;
  readonly chainId: Digest;
  readonly diffId: Digest;
  readonly root: RootAttributes;
}

/** Sums up a layer while another process writes it; stdin: lines of sum-beside.ts. */
export interface SumBesideJob {
  readonly kind: "sum-beside";
  readonly upper: string;
}

export type SnapshotJob = ApplyJob | DiffJob | ExportJob | VerifyJob | SumBesideJob;

export interface TarTotals {
  readonly tarBytes: number;
}

export interface JobResults {
  apply: AppliedLayer;
  diff: DiffTarResult;
  export: TarTotals;
  verify: { readonly isGood: boolean };
  /** Without a sum: it has to be taken again. */
  "sum-beside": { readonly sum?: DiffTarResult };
}

interface Failure {
  readonly error: {
    readonly code: ErrorCode;
    readonly message: string;
    readonly details?: Readonly<Record<string, unknown>>;
  };
}

export const formatResult = (result: object): string => `${JSON.stringify({ result })}\n`;

export const formatFailure = (error: NaruError): string => {
  const { code, message, details } = error;
  return `${JSON.stringify({ error: { code, message, details } } satisfies Failure)}\n`;
};

/** The last line of the child's stderr. Throws what the child threw, or internal for any other text. */
export const readResult = (stderr: string, exit: string): unknown => {
  const line = stderr.trimEnd().split("\n").at(-1) ?? "";
  let value: Partial<Failure> & { result?: unknown };
  try {
    value = JSON.parse(line) as typeof value;
  } catch (cause) {
    throw new NaruError(
      "internal",
      `the snapshot worker ended (${exit}) without a result: ${stderr.trim().slice(-500)}`,
      { cause },
    );
  }
  if (value.error === undefined) return value.result;
  const { code, message, details = {} } = value.error;
  throw new NaruError(code, message, { details });
};
