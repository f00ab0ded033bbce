/** Docker's AuthConfig: the X-Registry-Auth header, the body of POST /auth, entries of X-Registry-Config. */
import { NaruError } from "#lib/errors.ts";

export interface AuthConfig {
  readonly username?: string;
  readonly password?: string;
  readonly serveraddress?: string;
  /** A refresh token that stands for name and password. */
  readonly identitytoken?: string;
  /** A bearer token for the registry itself. */
  readonly registrytoken?: string;
}

const FIELDS = ["username", "password", "serveraddress", "identitytoken", "registrytoken"] as const;

/** Name and password may come joined, as config.json has them. */
const splitAuth = (auth: unknown): AuthConfig => {
  if (typeof auth !== "string" || auth === "") return {};
  const text = Buffer.from(auth, "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon < 1) return {};
  return { username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, "") };
};

/** Throws invalid_argument for what is no object, or has fields that are no texts. */
export const decodeAuthConfig = (value: unknown): AuthConfig => {
  if (value === null || value === undefined) return {};
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new NaruError("invalid_argument", "invalid credentials: not an object");
  }
  const object = value as Record<string, unknown>;
  const config: Record<string, string> = { ...splitAuth(object["auth"]) };
  for (const field of FIELDS) {
    const text = object[field];
    if (text === undefined || text === null || text === "") continue;
    if (typeof text !== "string") {
      throw new NaruError("invalid_argument", `invalid credentials: "${field}" is no text`);
    }
    config[field] = text;
  }
  return config;
};

/** Base64 of either alphabet around JSON. Absent, empty, and what is none of that say nothing: dockerd goes on without, too. */
export const parseRegistryAuth = (header: string | undefined): AuthConfig => {
  const text = header?.trim() ?? "";
  if (text === "") return {};
  try {
    return decodeAuthConfig(JSON.parse(Buffer.from(text, "base64url").toString("utf8")));
  } catch {
    return {};
  }
};

/** X-Registry-Config: as X-Registry-Auth, for several registries by name. */
export const parseRegistryConfig = (
  header: string | undefined,
): ReadonlyMap<string, AuthConfig> => {
  const text = header?.trim() ?? "";
  if (text === "") return new Map();
  try {
    const value: unknown = JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
    if (typeof value !== "object" || value === null || Array.isArray(value)) return new Map();
    return new Map(Object.entries(value).map(([name, auth]) => [name, decodeAuthConfig(auth)]));
  } catch {
    return new Map();
  }
};
