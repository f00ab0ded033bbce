/**
 * The errors of a registry: distribution-spec 1.1.1, "Error Codes" (code-1 to code-14), with the status each
 * one goes out with. A `NaruError` that stands for one carries it in `details.distribution`.
 */
import { type ErrorCode, type ErrorOptions, NaruError } from "#lib/errors.ts";

export type DistributionErrorCode =
  | "BLOB_UNKNOWN"
  | "BLOB_UPLOAD_INVALID"
  | "BLOB_UPLOAD_UNKNOWN"
  | "DIGEST_INVALID"
  | "MANIFEST_BLOB_UNKNOWN"
  | "MANIFEST_INVALID"
  | "MANIFEST_UNKNOWN"
  | "NAME_INVALID"
  | "NAME_UNKNOWN"
  | "SIZE_INVALID"
  | "UNAUTHORIZED"
  | "DENIED"
  | "UNSUPPORTED"
  | "TOOMANYREQUESTS";

interface Meaning {
  readonly code: ErrorCode;
  readonly status: number;
}

const MEANINGS: Readonly<Record<DistributionErrorCode, Meaning>> = {
  BLOB_UNKNOWN: { code: "not_found", status: 404 },
  BLOB_UPLOAD_INVALID: { code: "invalid_argument", status: 400 },
  BLOB_UPLOAD_UNKNOWN: { code: "not_found", status: 404 },
  DIGEST_INVALID: { code: "invalid_argument", status: 400 },
  MANIFEST_BLOB_UNKNOWN: { code: "failed_precondition", status: 404 },
  MANIFEST_INVALID: { code: "invalid_argument", status: 400 },
  MANIFEST_UNKNOWN: { code: "not_found", status: 404 },
  NAME_INVALID: { code: "invalid_argument", status: 400 },
  NAME_UNKNOWN: { code: "not_found", status: 404 },
  SIZE_INVALID: { code: "invalid_argument", status: 400 },
  UNAUTHORIZED: { code: "unauthenticated", status: 401 },
  DENIED: { code: "permission_denied", status: 403 },
  UNSUPPORTED: { code: "not_implemented", status: 405 },
  TOOMANYREQUESTS: { code: "resource_exhausted", status: 429 },
};

export interface DistributionErrorOptions extends ErrorOptions {
  /** Where this occasion asks for another status than the code's own (416 for a chunk out of order). */
  readonly status?: number;
  /** The `detail` of the body. */
  readonly detail?: unknown;
}

/** The error to throw for a registry's refusal; see `statusOf` for how it goes out. */
export const distributionError = (
  distribution: DistributionErrorCode,
  message: string,
  options: DistributionErrorOptions = {},
): NaruError => {
  const { code, status } = MEANINGS[distribution];
  return new NaruError(code, message, {
    ...(options.cause === undefined ? {} : { cause: options.cause }),
    details: {
      ...options.details,
      distribution,
      status: options.status ?? status,
      ...(options.detail === undefined ? {} : { detail: options.detail }),
    },
  });
};

/** What a general error is to a registry's client. */
const OF_GENERAL: Readonly<Record<ErrorCode, readonly [DistributionErrorCode, number]>> = {
  invalid_argument: ["UNSUPPORTED", 400],
  not_found: ["NAME_UNKNOWN", 404],
  already_exists: ["DENIED", 409],
  conflict: ["DENIED", 409],
  failed_precondition: ["DENIED", 412],
  not_modified: ["UNSUPPORTED", 304],
  permission_denied: ["DENIED", 403],
  unauthenticated: ["UNAUTHORIZED", 401],
  resource_exhausted: ["TOOMANYREQUESTS", 503],
  out_of_range: ["SIZE_INVALID", 416],
  aborted: ["UNSUPPORTED", 409],
  canceled: ["UNSUPPORTED", 499],
  deadline_exceeded: ["UNSUPPORTED", 408],
  unavailable: ["UNSUPPORTED", 503],
  not_implemented: ["UNSUPPORTED", 501],
  data_loss: ["UNSUPPORTED", 500],
  internal: ["UNSUPPORTED", 500],
};

export const distributionCodeOf = (error: NaruError): DistributionErrorCode => {
  const own = error.details["distribution"];
  return typeof own === "string" && own in MEANINGS
    ? (own as DistributionErrorCode)
    : OF_GENERAL[error.code][0];
};

export const statusOf = (error: NaruError): number => {
  const own = error.details["status"];
  return typeof own === "number" ? own : OF_GENERAL[error.code][1];
};

/** `{"errors": [{"code", "message", "detail"}]}`. */
export const errorBody = (
  code: DistributionErrorCode,
  message: string,
  detail: unknown = null,
): string => `${JSON.stringify({ errors: [{ code, message, detail }] })}\n`;
