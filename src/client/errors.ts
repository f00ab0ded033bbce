/** Answers that say no, as NaruErrors: the engine's own message, a code from the status. */
import { NaruError } from "#lib/errors.ts";
import type { ErrorCode } from "#lib/errors.ts";

const CODES: Readonly<Record<number, ErrorCode>> = {
  304: "not_modified",
  400: "invalid_argument",
  401: "unauthenticated",
  403: "permission_denied",
  404: "not_found",
  409: "conflict",
  412: "failed_precondition",
  413: "resource_exhausted",
  416: "out_of_range",
  429: "resource_exhausted",
  501: "not_implemented",
  503: "unavailable",
};

const messageOf = (text: string): string | undefined => {
  try {
    const body: unknown = JSON.parse(text);
    const message: unknown =
      typeof body === "object" && body !== null ? Reflect.get(body, "message") : undefined;
    return typeof message === "string" && message !== "" ? message : undefined;
  } catch {
    // Proxies and other servers answer in plain text: shown as it is.
    return undefined;
  }
};

/** `details.status` marks errors that the engine itself answered. */
export const responseError = (status: number, text: string): NaruError => {
  const code = CODES[status] ?? (status < 500 ? "failed_precondition" : "internal");
  const message = messageOf(text) ?? (text.trim().slice(0, 400) || `HTTP status ${String(status)}`);
  return new NaruError(code, message, { details: { status } });
};

/** True for errors that came as an answer of the engine, not from the way there. */
export const isAnswer = (error: unknown): error is NaruError =>
  error instanceof NaruError && typeof error.details["status"] === "number";
