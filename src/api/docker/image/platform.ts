/** The `platform` of a query: JSON ({"os":…,"architecture":…}) where images are read, a word elsewhere. */
import type { Call } from "#api/docker/call.ts";
import { NaruError } from "#lib/errors.ts";
import { decodePlatform, parsePlatform, type Platform } from "#spec/image/platform.ts";

const fromJson = (text: string): Platform => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new NaruError("invalid_argument", `failed to parse platform: ${text.slice(0, 80)}`, {
      cause,
    });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new NaruError("invalid_argument", "failed to parse platform: not an object");
  }
  if (!("os" in value) || !("architecture" in value)) {
    throw new NaruError("invalid_argument", "both OS and Architecture must be provided");
  }
  return decodePlatform({ ...value }, "platform");
};

const parse = (text: string): Platform =>
  text.startsWith("{") ? fromJson(text) : parsePlatform(text);

/** Each time that the parameter is given; more than once only from API 1.`severalSince` on. Throws invalid_argument. */
export const platformsOf = (call: Call, parameter: string, severalSince = 0): Platform[] => {
  const given = call.query.all(parameter).filter((text) => text !== "");
  if (given.length > 1 && call.minor < severalSince) {
    throw new NaruError(
      "invalid_argument",
      "multiple platform parameters are not supported in this API version; use API version 1.52 or later",
    );
  }
  return given.map(parse);
};

/** undefined when absent. Throws invalid_argument. */
export const platformOf = (call: Call, parameter: string): Platform | undefined =>
  platformsOf(call, parameter, Infinity)[0];
