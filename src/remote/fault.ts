/** A registry's refusal as an error, in the words that Docker's users know. */
import { nowNs } from "#lib/clock.ts";
import { type ErrorCode, NaruError } from "#lib/errors.ts";
import { parseFault, parseRetryAfter } from "#spec/distribution/answers.ts";

const BODY_MAX_BYTES = 64 * 1024;

const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: "invalid_argument",
  401: "unauthenticated",
  403: "permission_denied",
  404: "not_found",
  405: "not_implemented",
  413: "resource_exhausted",
  416: "out_of_range",
  429: "resource_exhausted",
};

const CODES: Readonly<Record<number, string>> = {
  401: "UNAUTHORIZED",
  403: "DENIED",
  429: "TOOMANYREQUESTS",
};
const WORDS: Readonly<Record<number, string>> = {
  401: "authentication required",
  403: "requested access to the resource is denied",
  429: "the registry has had too many requests",
};

const readText = async (response: Response): Promise<string> => {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const part of response.body ?? []) {
      parts.push(part);
      length += part.length;
      if (length > BODY_MAX_BYTES) break;
    }
  } catch {
    // Cut off while it explained itself: the status says enough.
  }
  return Buffer.concat(parts).toString("utf8");
};

/** `what` was asked for. Takes the rest of the answer. */
export const faultOf = async (response: Response, what: string): Promise<NaruError> => {
  const { status } = response;
  const told = parseFault(await readText(response));
  // The token was good, but not for this: what the caller may not see is denied, not unauthenticated.
  const isDenied =
    status === 401 &&
    (response.headers.get("www-authenticate") ?? "").includes('error="insufficient_scope"');
  const fault = isDenied ? { code: "DENIED", message: WORDS[403] ?? "" } : told;
  const registryCode = (fault?.code || CODES[status]) ?? "";
  const message = (fault?.message || WORDS[status]) ?? `status ${status}`;
  const code = BY_STATUS[isDenied ? 403 : status] ?? (status >= 500 ? "unavailable" : "internal");
  const word = registryCode.toLowerCase().replaceAll("_", " ");
  const text = word === "" ? message : `${word}: ${message}`;
  const subject = what === "" || registryCode !== "" ? text : `${what}: ${text}`;
  const retryAfterMs = parseRetryAfter(
    response.headers.get("retry-after"),
    Number(nowNs() / 1_000_000n),
  );
  return new NaruError(code, subject, {
    details: {
      registryCode,
      registryStatus: status,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
  });
};
