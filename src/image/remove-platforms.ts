/** `rmi --platform`: which images of a name go, after the name was led to another one where it has to be. */
import type { Catalog } from "#image/catalog.ts";
import { ALL, HARD, findConflict } from "#image/conflict.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { RemoveOptions } from "#image/image.ts";
import { type IndexMember, REFERENCE_DIGEST, mainImage, platformOfMember } from "#image/indexes.ts";
import { deleteManifests } from "#image/manifests.ts";
import { NaruError } from "#lib/errors.ts";
import type { ImageRow } from "#metadata/images.ts";
import { platformOf } from "#spec/image/config.ts";
import { type Platform, formatPlatform } from "#spec/image/platform.ts";

const isFor = (member: IndexMember, text: string): boolean => {
  const platform = platformOfMember(member);
  return member.image !== undefined && platform !== undefined && formatPlatform(platform) === text;
};

const missing = (name: string, platform: Platform): NaruError =>
  new NaruError(
    "not_found",
    `image with reference ${name} was found but does not provide the specified platform (${formatPlatform(platform)})`,
  );

interface Chosen {
  /** Nothing would be left: the image goes with its name. */
  readonly isAll: boolean;
  readonly images: readonly ImageRow[];
}

const checkUse = (
  dependencies: ImageDependencies,
  name: string,
  target: string,
  gone: readonly ImageRow[],
  { isForced }: RemoveOptions,
): void => {
  for (const row of gone) {
    const found = findConflict(dependencies, row.id, isForced ? HARD : ALL);
    if (found !== undefined && found.kind !== "reference") throw found.error;
    const other = dependencies.rows.references(row.id).find((one) => one.target !== target);
    if (other === undefined) continue;
    throw new NaruError(
      "conflict",
      `conflict: unable to delete platform ${formatPlatform(platformOf(row.config))} of "${name}" - it has another name, "${other.repository}${other.tag === undefined ? "" : `:${other.tag}`}": remove that first`,
    );
  }
};

/** Throws not_found for a platform that is not here, conflict for one in use. */
export const findPlatforms = (
  dependencies: ImageDependencies,
  catalog: Catalog,
  name: string,
  options: RemoveOptions,
): Chosen => {
  const { rows } = dependencies;
  const { id, target } = catalog.named(name);
  const wanted = (options.platforms ?? []).map((platform) => {
    const text = formatPlatform(platform);
    const members =
      target === undefined ? [] : catalog.indexes.members(target).filter((one) => isFor(one, text));
    const isOnly =
      target === undefined && formatPlatform(platformOf(catalog.row(id).config)) === text;
    if (members.length === 0 && !isOnly) throw missing(name, platform);
    return members;
  });
  const members = wanted.flat();
  if (target === undefined) return { isAll: true, images: [] };
  const gone = [...new Set(members.flatMap(({ image }) => image ?? []))];
  const rest = catalog.indexes
    .members(target)
    .filter(({ image }) => image !== undefined && !gone.includes(image));
  const main = mainImage(rest);
  if (main === undefined) return { isAll: true, images: [] };
  checkUse(dependencies, name, target, gone, options);
  rows.transaction(() => {
    for (const one of rows.references()) {
      if (one.target === target) rows.setReference({ ...one, imageId: main.id });
    }
  });
  const digests = members.map(({ descriptor }) => descriptor.digest);
  const attestations = catalog.indexes
    .members(target)
    .filter(({ descriptor, isAvailable }) => {
      const subject = descriptor.annotations?.[REFERENCE_DIGEST];
      return isAvailable && digests.some((digest) => digest === subject);
    })
    .map(({ descriptor }) => descriptor.digest);
  deleteManifests(dependencies, catalog, [...digests, ...attestations]);
  return { isAll: false, images: gone };
};
