/** Mistakes in the command line itself, as NaruErrors that remember it. */
import { NaruError } from "#lib/errors.ts";

export const usageError = (message: string, cause?: unknown): NaruError =>
  new NaruError("invalid_argument", message, { cause, details: { isUsage: true } });

export const isUsageError = (error: unknown): boolean =>
  error instanceof NaruError && error.details["isUsage"] === true;

/** Ends the command with this exit code; everything was said already. */
export const exitError = (exitCode: number, message = ""): NaruError =>
  new NaruError("aborted", message, { details: { exitCode } });

export const exitCodeOf = (error: unknown): number | undefined => {
  const code = error instanceof NaruError ? error.details["exitCode"] : undefined;
  return typeof code === "number" ? code : undefined;
};
