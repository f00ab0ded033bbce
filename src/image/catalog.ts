/** Names to images: every read goes through here and costs microseconds. */
import { isArtifact } from "#image/artifact.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { ImageRecord } from "#image/image.ts";
import {
  type IndexMember,
  type Indexes,
  bestImage,
  createIndexes,
  platformOfMember,
} from "#image/indexes.ts";
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

/** What a name stands for. */
export interface Named {
  readonly id: Digest;
  /** The index behind it, of whose images `id` is the main one. */
  readonly target: Digest | undefined;
}

/** The index that an image is the main one of, by the first of its names that has one. */
const targetOfId = (rows: ImageRows, id: Digest): Digest | undefined =>
  rows.references(id).find(({ target }) => target !== undefined)?.target;

/** By an id, or by the digest of a manifest or of an index that is here. */
const byDigest = (rows: ImageRows, digest: Digest): Named | undefined => {
  if (rows.get(digest) !== undefined) return { id: digest, target: targetOfId(rows, digest) };
  const imageId = rows.manifests.imageOf(digest);
  if (imageId !== undefined && rows.get(imageId) !== undefined) {
    return { id: imageId, target: undefined };
  }
  if (!rows.manifests.has(digest)) return undefined;
  const named = rows.references().find(({ target }) => target === digest);
  return named === undefined ? undefined : { id: named.imageId, target: digest };
};

const resolveName = (rows: ImageRows, name: string): Named => {
  const any = parseAnyReference(name);
  if (any.kind === "id") {
    const named = byDigest(rows, any.id);
    if (named === undefined) throw noSuchImage(any.id);
    return named;
  }
  const reference = withDefaultTag(any.reference);
  const repository = repositoryOf(reference);
  // With a digest the tag is only a remark: the digest alone says which content is meant.
  const row =
    reference.digest === undefined
      ? rows.reference(repository, reference.tag)
      : rows.reference(repository, undefined, reference.digest);
  if (row !== undefined) return { id: row.imageId, target: row.target };
  const id = byPrefix(rows, name);
  if (id === undefined) throw noSuchImage(familiarString(reference));
  return { id, target: targetOfId(rows, id) };
};

export interface Catalog {
  readonly indexes: Indexes;
  resolve(name: string): Digest;
  named(name: string): Named;
  /** Of the platform that is asked for, else the main one. */
  chosen(name: string, platform?: Platform): ImageRow;
  row(id: Digest): ImageRow;
  record(row: ImageRow): ImageRecord;
  get(name: string, platform?: Platform): ImageRecord;
  find(name: string, platform?: Platform): ImageRecord | undefined;
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

/** Docker's words, and what there is. */
const noSuchPlatform = (name: string, platform: Platform, here: readonly Platform[]): NaruError =>
  new NaruError(
    "not_found",
    `image with reference ${name} was found but does not provide the specified platform (${formatPlatform(platform)}): it is for ${here.map(formatPlatform).join(", ")}`,
  );

const choose = (
  name: string,
  platform: Platform,
  main: ImageRow,
  members: readonly IndexMember[],
): ImageRow => {
  const isRight = platformScore(platformOf(main.config), platform) > 0;
  const best = bestImage(members, platform) ?? (isRight ? main : undefined);
  if (best !== undefined) return best;
  const here = members.flatMap((one) =>
    one.image === undefined ? [] : (platformOfMember(one) ?? []),
  );
  throw noSuchPlatform(name, platform, here.length > 0 ? here : [platformOf(main.config)]);
};

export const createCatalog = (parts: Pick<ImageDependencies, "rows" | "trash">): Catalog => {
  const { rows } = parts;
  const indexes = createIndexes(parts);
  const chains = new WeakMap<ImageRow, readonly Digest[]>();
  const records = new WeakMap<ImageRow, { names: readonly ReferenceRow[]; record: ImageRecord }>();

  const chain = (row: ImageRow): readonly Digest[] => {
    const known = chains.get(row);
    if (known !== undefined) return known;
    const made = chainIds(row.config.rootfs.diff_ids);
    chains.set(row, made);
    return made;
  };

  const named = (name: string): Named => resolveName(rows, name);
  const resolve = (name: string): Digest => named(name).id;

  const row = (id: Digest): ImageRow => {
    const found = rows.get(id);
    if (found === undefined) throw noSuchImage(id);
    return found;
  };

  const record = (of: ImageRow): ImageRecord => {
    const own = rows.references(of.id);
    const cached = records.get(of);
    if (own.length > 0 && cached?.names === own) return cached.record;
    const names = own.length > 0 ? own : indexes.namesOf(of.id);
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

  const chosen = (name: string, platform?: Platform): ImageRow => {
    const { id, target } = named(name);
    const main = row(id);
    if (platform === undefined || isArtifact(main)) return main;
    const members = target === undefined ? [] : indexes.members(target);
    return choose(name, platform, main, members);
  };

  const get = (name: string, platform?: Platform): ImageRecord => record(chosen(name, platform));

  return {
    indexes,
    named,
    chosen,
    resolve,
    row,
    record,
    get,
    chain,
    find: (name, platform) => {
      try {
        return get(name, platform);
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
