/** What registries and token servers send back, read out of their JSON and headers. */
import { NaruError } from "#lib/errors.ts";

/** One entry of the spec's error document (distribution-spec 1.1, "Error Codes"). */
export interface RegistryFault {
  /** "MANIFEST_UNKNOWN", or "" where the answer was no such document. */
  readonly code: string;
  readonly message: string;
}

const MESSAGE_MAX = 500;

/** A server's words as they may be shown: what would move a terminal's cursor, or colour it, becomes a blank. */
export const plainText = (value: unknown): string =>
  typeof value === "string" ? value.replaceAll(/\p{Cc}+/gu, " ").trim() : "";

const textOf = (value: unknown): string => plainText(value).slice(0, MESSAGE_MAX);

const objectOf = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};

const parseObject = (text: string): Record<string, unknown> => {
  try {
    return objectOf(JSON.parse(text));
  } catch {
    // Registries behind proxies answer in HTML: the status has to say it all.
    return {};
  }
};

/** The first error of the document; undefined when it is none (a proxy's page, nothing at all). */
export const parseFault = (text: string): RegistryFault | undefined => {
  const object = parseObject(text);
  const list: unknown = object["errors"];
  const first = Array.isArray(list) ? objectOf(list[0]) : undefined;
  if (first !== undefined) {
    return { code: textOf(first["code"]).toUpperCase(), message: textOf(first["message"]) };
  }
  const message = textOf(object["message"]) || textOf(object["details"]);
  return message === "" ? undefined : { code: "", message };
};

export interface TokenAnswer {
  readonly token: string;
  readonly expiresInSeconds: number;
  /** An identity token that replaces name and password from now on. */
  readonly refreshToken: string | undefined;
}

/** Sixty seconds where the server does not say (token specification, "Token Response Fields"). */
const TOKEN_SECONDS = 60;

/** Throws unauthenticated when there is no token in it. */
export const parseTokenAnswer = (text: string, realm: string): TokenAnswer => {
  const object = parseObject(text);
  const token = object["token"] ?? object["access_token"];
  if (typeof token !== "string" || token === "") {
    throw new NaruError(
      "unauthenticated",
      `authorization server "${realm}" did not include a token`,
    );
  }
  const seconds = object["expires_in"];
  const refresh = object["refresh_token"];
  return {
    token,
    expiresInSeconds:
      typeof seconds === "number" && seconds > 0 ? Math.max(seconds, TOKEN_SECONDS) : TOKEN_SECONDS,
    refreshToken: typeof refresh === "string" && refresh !== "" ? refresh : undefined,
  };
};

/** Retry-After (RFC 9110 section 10.2.3) in milliseconds; undefined when absent or unreadable. */
export const parseRetryAfter = (header: string | null, nowMs: number): number | undefined => {
  if (header === null || header.trim() === "") return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
};

/** Target of `Link: <…>; rel="next"` (RFC 8288), as it stands. */
export const parseNextLink = (header: string | null): string | undefined =>
  /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(header ?? "")?.[1];

/** "97 of 100 pulls left" out of the ratelimit headers ("100;w=21600"); undefined without them. */
export const rateLimitText = (
  limit: string | null,
  remaining: string | null,
): string | undefined => {
  const left = /^\d+/.exec(remaining ?? "")?.[0];
  if (left === undefined) return undefined;
  const most = /^(\d+)(?:;w=(\d+))?/.exec(limit ?? "");
  if (most === null) return `${left} pulls left`;
  const hours = most[2] === undefined ? undefined : Number(most[2]) / 3600;
  const window = hours === undefined ? "" : ` in ${Number(hours.toFixed(1))} h`;
  return `${left} of ${most[1]} pulls left${window}`;
};

/** Last byte received of an upload's Range header ("0-499" → 500 bytes); 0 when there is none. */
export const uploadedBytes = (header: string | null): number => {
  const match = /^(?:bytes=)?0-(\d+)$/.exec(header?.trim() ?? "");
  const last = match === null ? -1 : Number(match[1]);
  // Some servers say 0-0 for nothing: a single byte is never worth resuming.
  return last <= 0 ? 0 : last + 1;
};
