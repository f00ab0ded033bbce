/**
 * The one error class. A `code` from a closed union says what kind of failure it is; each protocol
 * has one exhaustive table from code to its own numbers (HTTP status, exit code), so the compiler
 * finds holes. The message names the noun in quotes and, where there is one, the remedy.
 */
export type ErrorCode =
  | "invalid_argument"
  | "not_found"
  | "already_exists"
  | "conflict"
  | "failed_precondition"
  | "not_modified"
  | "permission_denied"
  | "unauthenticated"
  | "resource_exhausted"
  | "out_of_range"
  | "aborted"
  | "canceled"
  | "deadline_exceeded"
  | "unavailable"
  | "not_implemented"
  | "data_loss"
  | "internal";

export interface ErrorOptions {
  readonly cause?: unknown;
  /** Machine-readable facts about the failure (errno, exit code of a runtime, field name …). */
  readonly details?: Readonly<Record<string, unknown>>;
}

export class NaruError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "NaruError";
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** `SuppressedError` (an undo failed too) hides the real error in `suppressed`: look inside. */
const unwrapSuppressed = (error: unknown): unknown =>
  error instanceof SuppressedError ? unwrapSuppressed(error.suppressed) : error;

/** Any thrown value as a NaruError; foreign errors become `internal` with the original as cause. */
export const toNaruError = (thrown: unknown): NaruError => {
  const error = unwrapSuppressed(thrown);
  if (error instanceof NaruError) return error;
  if (error instanceof Error && error.name === "AbortError") {
    return new NaruError("canceled", error.message, { cause: error });
  }
  const message = error instanceof Error ? error.message : String(error);
  return new NaruError("internal", message, { cause: error });
};

export const hasCode = (error: unknown, code: ErrorCode): boolean =>
  unwrapSuppressed(error) instanceof NaruError &&
  (unwrapSuppressed(error) as NaruError).code === code;

/** A programmer's promise. Breaking it is a bug in naru, never the user's fault. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant: ${message}`);
}
