/** Which records of the build cache a filter means, and how much of it is to stay (pure). */
import type { BuildCacheItem, PruneOptions } from "#build/build.ts";
import { NaruError } from "#lib/errors.ts";

const FILTER =
  /^(id|parents?|type|description|shared|inuse|private|mutable|immutable)(?:(==|=|~=|!=)(.*))?$/s;

const fieldsOf = (item: BuildCacheItem): Readonly<Record<string, string>> => {
  const isMutable = item.kind !== "regular";
  return {
    id: item.id,
    parent: item.parent,
    parents: item.parent,
    type: item.kind,
    description: item.description,
    shared: String(item.isShared),
    private: String(!item.isShared),
    inuse: String(item.isInUse),
    mutable: String(isMutable),
    immutable: String(!isMutable),
  };
};

/** "1" and "0" as true and false are written, too. */
const asFlag = (value: string, has: string): string => {
  if (has !== "true" && has !== "false") return value;
  return value === "1" ? "true" : value === "0" ? "false" : value;
};

type Matches = (item: BuildCacheItem) => boolean;

const matcherOf = (filter: string): Matches => {
  const match = FILTER.exec(filter);
  if (match === null) {
    const remedy = "filter by id, parent, type, description, shared, private, inuse or mutable";
    throw new NaruError(
      "not_implemented",
      `the filter "${filter}" is not supported by naru: ${remedy}`,
    );
  }
  const [, name = "", operator = "", given = ""] = match;
  const text = given.replace(/^"(.*)"$/, "$1");
  return (item) => {
    const has = fieldsOf(item)[name] ?? "";
    const value = asFlag(text, has);
    if (operator === "") return has === "true";
    if (operator === "~=") return has.includes(value);
    return operator === "!=" ? has !== value : has === value;
  };
};

/** "id=…", "type==…" and the like; several must all hold. Throws not_implemented for what is no field. */
export const cacheMatcher = (filters: readonly string[]): Matches => {
  const matchers = filters
    .flatMap((filter) => filter.split(","))
    .filter((filter) => filter !== "")
    .map(matcherOf);
  return (item) => matchers.every((matches) => matches(item));
};

export interface SpaceLimits {
  /** So much may stay whatever else is asked for. */
  readonly reservedBytes: number;
  readonly maxUsedBytes: number;
  /** So much of the disk shall be free. */
  readonly minFreeBytes: number;
}

/** 0 says nothing. */
export const spaceOf = ({
  reservedBytes,
  maxUsedBytes,
  minFreeBytes,
}: SpaceLimits): Pick<PruneOptions, "keepBytes" | "minFreeBytes"> => {
  const keepBytes = Math.max(reservedBytes, maxUsedBytes);
  return {
    keepBytes: keepBytes > 0 ? keepBytes : undefined,
    ...(minFreeBytes > 0 ? { minFreeBytes } : {}),
  };
};
