/** From the house's error codes to the statuses Docker's clients act upon. */
import { type ErrorCode, type NaruError, toNaruError } from "#lib/errors.ts";

const STATUS: Readonly<Record<ErrorCode, number>> = {
  invalid_argument: 400,
  not_found: 404,
  already_exists: 409,
  conflict: 409,
  failed_precondition: 409,
  not_modified: 304,
  permission_denied: 403,
  unauthenticated: 401,
  resource_exhausted: 503,
  out_of_range: 400,
  aborted: 409,
  canceled: 500,
  deadline_exceeded: 500,
  unavailable: 503,
  not_implemented: 501,
  data_loss: 500,
  internal: 500,
};

/** `details.status` is set where HTTP itself was at fault (413, 408). */
export const statusOf = (error: NaruError): number => {
  const own = error.details["status"];
  return typeof own === "number" ? own : STATUS[error.code];
};

export const JSON_FIELDS = "Content-Type: application/json\r\n";

/** "{"message":"…"}" as every error is told. */
export const errorBody = (message: string): string => `${JSON.stringify({ message })}\n`;

/** As `errorBody` for lines within a stream that began with 200. */
export const errorLine = (thrown: unknown, code?: number): string => {
  const { message } = toNaruError(thrown);
  const errorDetail = code === undefined ? { message } : { code, message };
  return `${JSON.stringify({ errorDetail, error: message })}\r\n`;
};
