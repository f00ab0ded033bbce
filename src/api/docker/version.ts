/** The "/v1.51" in front of a path: what it asks for and whether naru speaks it. */
import { NaruError } from "#lib/errors.ts";
import { API_VERSION_MAX, API_VERSION_MIN, compareVersions } from "#spec/docker/api-version.ts";

const PREFIX = /^\/v(\d+(?:\.\d+)*)(\/.*)$/;
const MAX_MINOR = Number(API_VERSION_MAX.split(".")[1]);

export interface VersionedPath {
  /** undefined: the path named none, the newest is meant. */
  readonly version: string | undefined;
  readonly path: string;
}

export const splitVersion = (path: string): VersionedPath => {
  // "/volumes" and "/version" begin alike.
  const code = path.charCodeAt(2);
  if (path[1] !== "v" || code < 48 || code > 57) return { version: undefined, path };
  const match = PREFIX.exec(path);
  if (match === null) return { version: undefined, path };
  return { version: match[1], path: match[2] ?? "/" };
};

/** The minor number. Throws invalid_argument in Docker's words when naru does not speak it. */
export const minorOf = (version: string | undefined): number => {
  if (version === undefined) return MAX_MINOR;
  if (compareVersions(version, API_VERSION_MIN) < 0) {
    throw new NaruError(
      "invalid_argument",
      `client version ${version} is too old. Minimum supported API version is ${API_VERSION_MIN}, please upgrade your client to a newer version`,
    );
  }
  if (compareVersions(version, API_VERSION_MAX) > 0) {
    throw new NaruError(
      "invalid_argument",
      `client version ${version} is too new. Maximum supported API version is ${API_VERSION_MAX}`,
    );
  }
  return Number(version.split(".")[1] ?? "0");
};
