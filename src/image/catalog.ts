/** Names to images: every read goes through here and costs microseconds. */
import type { ImageDependencies } from "#image/dependencies.ts";
import type { ImageRecord } from "#image/image.ts";
import { ZERO_TIME, parseInstant } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import type { ImageRow, ImageRows, ReferenceRow } from "#metadata/images.ts";
import { chainIds } from "#spec/image/chain-id.ts";
import { platformOf } from "#spec/image/config.ts";
import type { Digest } from "#spec/image/digest.ts";
import { type Platform, formatPlatform, platformScore } from "#spec/image/platform.ts";
import {
  type Reference,
  familiarString,
  parseAnyReference,
  parseReference,
  repositoryOf,
  withDefaultTag,
} from "#spec/image/reference.ts";

/** A stored name as a reference value. */
export const toReference = (row: Omit<ReferenceRow, "imageId">): Reference => {
  const at = row.repository.indexOf("/");
  return {
    domain: row.repository.slice(0, at),
    path: row.repository.slice(at + 1),
    ...(row.tag === undefined ? {} : { tag: row.tag }),
    ...(row.digest === undefined ? {} : { digest: row.digest }),
  };
};

export const familiarRow = (row: Omit<ReferenceRow, "imageId">): string =>
  familiarString(toReference(row));

const noSuchImage = (name: string): NaruError =>
  new NaruError("not_found", `No such image: ${name}`);

const ID_PREFIX = /^(?:sha256:)?([0-9a-f]{1,64})$/;

const byPrefix = (rows: ImageRows, name: string): Digest | undefined => {
  const prefix = ID_PREFIX.exec(name)?.[1];
  if (prefix === undefined) return undefined;
  const [first, second] = rows.withPrefix(prefix, 2);
  if (second !== undefined) {
    throw new NaruError(
      "invalid_argument",
      `image id prefix "${name}" is ambiguous: several images start with it, give more digits`,
    );
  }
  return first;
};

const resolveName = (rows: ImageRows, name: string): Digest => {
  const any = parseAnyReference(name);
  if (any.kind === "id") {
    if (rows.get(any.id) === undefined) throw noSuchImage(any.id);
    return any.id;
  }
  const reference = withDefaultTag(any.reference);
  const repository = repositoryOf(reference);
  // With a digest the tag is only a remark: the digest alone says which content is meant.
  const named =
    reference.digest === undefined
      ? rows.findReference(repository, reference.tag)
      : rows.findReference(repository, undefined, reference.digest);
  const id = named ?? byPrefix(rows, name);
  if (id === undefined) throw noSuchImage(familiarString(reference));
  return id;
};

export interface Catalog {
  resolve(name: string): Digest;
  row(id: Digest): ImageRow;
  record(row: ImageRow): ImageRecord;
  get(name: string, platform?: Platform): ImageRecord;
  find(name: string): ImageRecord | undefined;
  /** chainIDs of the image's layers, lowest first. */
  chain(row: ImageRow): readonly Digest[];
}

export const createdAtOf = (row: ImageRow): string => row.config.created ?? ZERO_TIME;

/** Nanoseconds since the epoch. A config may say anything: an unreadable time sorts as the oldest. */
export const createdNs = (row: ImageRow): bigint => {
  try {
    return parseInstant(createdAtOf(row));
  } catch {
    return 0n;
  }
};

export const createCatalog = ({ rows }: Pick<ImageDependencies, "rows">): Catalog => {
  const chains = new WeakMap<ImageRow, readonly Digest[]>();
  const records = new WeakMap<ImageRow, { names: readonly ReferenceRow[]; record: ImageRecord }>();

  const chain = (row: ImageRow): readonly Digest[] => {
    const known = chains.get(row);
    if (known !== undefined) return known;
    const made = chainIds(row.config.rootfs.diff_ids);
    chains.set(row, made);
    return made;
  };

  const resolve = (name: string): Digest => resolveName(rows, name);

  const row = (id: Digest): ImageRow => {
    const found = rows.get(id);
    if (found === undefined) throw noSuchImage(id);
    return found;
  };

  const record = (of: ImageRow): ImageRecord => {
    const names = rows.references(of.id);
    const cached = records.get(of);
    if (cached?.names === names) return cached.record;
    const made: ImageRecord = {
      id: of.id,
      config: of.config,
      configText: of.configText,
      chainId: chain(of).at(-1),
      platform: platformOf(of.config),
      repoTags: names.filter((name) => name.tag !== undefined).map(familiarRow),
      repoDigests: names.filter((name) => name.digest !== undefined).map(familiarRow),
      parent: of.parent,
      createdAt: createdAtOf(of),
      sizeBytes: of.sizeBytes,
      lastTaggedAt: of.lastTaggedAt ?? ZERO_TIME,
      manifestDigest: of.manifestDigest,
    };
    records.set(of, { names, record: made });
    return made;
  };

  const get = (name: string, platform?: Platform): ImageRecord => {
    const found = record(row(resolve(name)));
    if (platform !== undefined && platformScore(found.platform, platform) === 0) {
      throw new NaruError(
        "not_found",
        `image with reference ${name} was found but does not provide the specified platform (${formatPlatform(platform)}): it is for ${formatPlatform(found.platform)}`,
      );
    }
    return found;
  };

  return {
    resolve,
    row,
    record,
    get,
    chain,
    find: (name) => {
      try {
        return get(name);
      } catch (error) {
        if (error instanceof NaruError && error.code === "not_found") return undefined;
        throw error;
      }
    },
  };
};

/** True when what was typed is (the beginning of) the image's id rather than a name. */
export const isIdPrefix = (id: Digest, typed: string): boolean =>
  id.startsWith(typed) || id.slice(id.indexOf(":") + 1).startsWith(typed);

/** "repo:tag" for the target of a tag; refuses digests as Docker does. */
export const parseTagTarget = (target: string): Reference => {
  const reference = withDefaultTag(parseReference(target));
  if (reference.digest !== undefined) {
    throw new NaruError("invalid_argument", "refusing to create a tag with a digest reference");
  }
  if (reference.path === "library/sha256" || reference.path === "library/sha512") {
    throw new NaruError(
      "invalid_argument",
      "refusing to create an ambiguous tag using digest algorithm as name",
    );
  }
  return reference;
};
