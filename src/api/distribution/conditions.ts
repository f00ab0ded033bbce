/** Conditional requests (RFC 9110 §13): what a client or a cache has already need not be sent again. */
import type { Call } from "#api/distribution/call.ts";
import { distributionError } from "#spec/distribution/errors.ts";

/** Whether a list of entity tags has that of `digest`; tags without quotes are taken as well, as clients send them. */
export const hasTag = (field: string, digest: string, isWeakEnough: boolean): boolean =>
  field.split(",").some((element) => {
    const tag = element.trim();
    const strong = isWeakEnough && tag.startsWith("W/") ? tag.slice(2) : tag;
    return tag === "*" || strong === `"${digest}"` || strong === digest;
  });

/** True: 304. Throws (412) where the client wants another version than there is. */
export const isUnchanged = (call: Call, digest: string): boolean => {
  const match = call.field("if-match");
  if (match !== undefined && !hasTag(match, digest, false)) {
    throw distributionError("UNSUPPORTED", `If-Match asks for another version than ${digest}`, {
      status: 412,
    });
  }
  const noneMatch = call.field("if-none-match");
  return noneMatch !== undefined && hasTag(noneMatch, digest, true);
};
