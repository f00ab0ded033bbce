/** Failures of node:fs in the words of the kernel room. */
import { type ErrorCode, NaruError } from "#lib/errors.ts";

const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "not_found",
  EEXIST: "already_exists",
  ENOSPC: "resource_exhausted",
  EDQUOT: "resource_exhausted",
  EFBIG: "resource_exhausted",
  EMFILE: "resource_exhausted",
  ENFILE: "resource_exhausted",
  EROFS: "failed_precondition",
};

/** Anything else is returned as it is. */
export const diskError = (error: unknown): unknown => {
  const errno: unknown = (error as { code?: unknown } | null)?.code;
  if (error instanceof NaruError || !(error instanceof Error) || typeof errno !== "string") {
    return error;
  }
  return new NaruError(CODES[errno] ?? "internal", error.message, {
    cause: error,
    details: { errno },
  });
};

export const withDiskErrors = <T>(work: () => T): T => {
  try {
    return work();
  } catch (error) {
    throw diskError(error);
  }
};
