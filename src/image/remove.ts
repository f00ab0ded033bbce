/** `rmi`: takes names away, and the image with the last of them. */
import { failpoint } from "#lib/failpoint.ts";
import { type Catalog, familiarRow, isIdPrefix } from "#image/catalog.ts";
import { deleteFiles, unneededChains } from "#image/collect.ts";
import { ALL, type Conflict, HARD, findConflict } from "#image/conflict.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { publishImageEvent } from "#image/event.ts";
import { sweepManifests } from "#image/manifests.ts";
import { findPlatforms } from "#image/remove-platforms.ts";
import type { RemoveOptions } from "#image/image.ts";
import { NaruError } from "#lib/errors.ts";
import { moveToTrash } from "#image/removed.ts";
import type { ImageRow, ReferenceRow } from "#metadata/images.ts";
import type { DeleteItem } from "#spec/docker/image.ts";
import { type Digest, shortId } from "#spec/image/digest.ts";
import { parseReference, repositoryOf, withDefaultTag } from "#spec/image/reference.ts";

interface Removal {
  readonly dependencies: ImageDependencies;
  readonly catalog: Catalog;
  readonly options: RemoveOptions;
  readonly items: DeleteItem[];
  /** Names that were taken away: those of a deleted image come back with it. */
  readonly names: ReferenceRow[];
}

const untag = ({ dependencies, items, names }: Removal, row: ReferenceRow): void => {
  names.push(row);
  publishAfter(dependencies, row.imageId, () => dependencies.rows.deleteReference(row));
  items.push({ Untagged: familiarRow(row) });
};

/** The event's labels are read from the row, so it goes out as soon as the change is on disk. */
const publishAfter = (dependencies: ImageDependencies, id: Digest, change: () => void): void => {
  change();
  publishImageEvent(dependencies, "untag", id);
};

/** One tag, and at most digests of the same repository: one name to a person. */
const isSingleName = (names: readonly ReferenceRow[]): boolean => {
  if (names.length <= 1) return true;
  const tags = names.filter((name) => name.tag !== undefined);
  const digestRepositories = new Set(
    names.filter((name) => name.digest !== undefined).map((name) => name.repository),
  );
  if (tags.length > 1) return false;
  const repository = tags[0]?.repository ?? names[0]?.repository ?? "";
  return digestRepositories.size === 1 && digestRepositories.has(repository);
};

/** Layers that no image shows any more: what a client is told, though the trash keeps them. */
const goneFromSight = (
  dependencies: ImageDependencies,
  catalog: Catalog,
  row: ImageRow,
): readonly Digest[] => {
  const kept = dependencies.trash.all("image").find(({ key }) => key === row.id);
  return unneededChains(dependencies, catalog, row.configText, kept?.id);
};

/** Deletes the image and, unless kept, its untagged parents; `isQuiet` for what nobody asked for by name. */
const deleteImage = async (removal: Removal, id: Digest, isQuiet: boolean): Promise<void> => {
  const { dependencies, catalog, items } = removal;
  const { rows } = dependencies;
  const isForced = removal.options.isForced;
  const found = findConflict(dependencies, id, isForced ? HARD : ALL);
  if (found !== undefined) {
    const isDangling = rows.references(id).length === 0 && rows.children(id).length === 0;
    const isUsed = found.kind === "running container" || found.kind === "stopped container";
    if (isQuiet && (!isDangling || isUsed)) return;
    throw found.error;
  }
  const row = catalog.row(id);
  for (const name of rows.references(id)) untag(removal, name);
  publishImageEvent(dependencies, "delete", id);
  const { batch, isFinal = false } = removal.options;
  const isKept = dependencies.trash.isOn && batch !== undefined && !isFinal;
  if (isKept) {
    const names = removal.names.filter((name) => name.imageId === id);
    moveToTrash(dependencies, row, names, batch);
  } else {
    rows.delete(id);
  }
  failpoint("image-remove.after-row");
  items.push({ Deleted: id });
  const gone = isKept
    ? goneFromSight(dependencies, catalog, row)
    : deleteFiles(dependencies, catalog, row.configText, row.manifestDigest);
  for (const chainId of gone) items.push({ Deleted: chainId });
  if (removal.options.isParentKept || row.parent === undefined) return;
  if (rows.get(row.parent) === undefined) return;
  const unforced: Removal = { ...removal, options: { ...removal.options, isForced: false } };
  await deleteImage(unforced, row.parent, true);
};

/** The other images that the image's names stand for: they have no names of their own. */
const partsOf = ({ dependencies, catalog }: Removal, id: Digest): readonly Digest[] => {
  const targets = new Set(dependencies.rows.references(id).flatMap(({ target }) => target ?? []));
  const parts = [...targets].flatMap((target) => catalog.indexes.images(target));
  return [...new Set(parts.map((row) => row.id))].filter((part) => part !== id);
};

/** Those of `parts` that no name leads to any more go; one that a container runs on stays, without a name. */
const deleteParts = async (removal: Removal, parts: readonly Digest[]): Promise<void> => {
  const { rows } = removal.dependencies;
  const reachable = parts.length === 0 ? new Set() : removal.catalog.indexes.parts();
  for (const part of parts) {
    const isGone = rows.get(part) === undefined;
    if (isGone || reachable.has(part) || rows.references(part).length > 0) continue;
    await deleteImage(removal, part, true);
  }
  sweepManifests(removal.dependencies, removal.catalog);
};

const removeByName = async (removal: Removal, id: Digest, name: string): Promise<void> => {
  const { dependencies } = removal;
  const { rows } = dependencies;
  const { catalog } = removal;
  const parts = partsOf(removal, id);
  const [user] = [id, ...parts].flatMap((one) => dependencies.users.containersOf(one));
  if (!removal.options.isForced && isSingleName(rows.references(id)) && user !== undefined) {
    throw new NaruError(
      "conflict",
      `conflict: unable to remove repository reference "${name}" (must force) - container ${user.id.slice(0, 12)} is using its referenced image ${shortId(id)}`,
    );
  }
  const reference = withDefaultTag(parseReference(name));
  const repository = repositoryOf(reference);
  const given = rows
    .references(id)
    .find(
      (row) =>
        row.repository === repository &&
        (reference.digest === undefined
          ? row.tag === reference.tag
          : row.digest === reference.digest),
    );
  if (given === undefined) throw new NaruError("not_found", `No such image: ${name}`);
  untag(removal, given);
  // The last tag of a repository takes the repository's digests along.
  const rest = rows.references(id).filter((row) => row.repository === repository);
  if (given.tag !== undefined && rest.every((row) => row.tag === undefined)) {
    for (const row of rest) untag(removal, row);
  }
  // What was the main image of this name may be a part of another's.
  const isPart = rows.references(id).length > 0 || catalog.indexes.parts().has(id);
  if (!isPart) await deleteImage(removal, id, true);
  await deleteParts(removal, parts);
};

const removeById = async (removal: Removal, id: Digest): Promise<void> => {
  const { dependencies, options } = removal;
  const names = dependencies.rows.references(id);
  const parts = partsOf(removal, id);
  if (isSingleName(names)) {
    const soft: Conflict[] = options.isForced ? [] : ["stopped container"];
    for (const one of [id, ...parts]) {
      const found = findConflict(dependencies, one, [...HARD, ...soft]);
      if (found !== undefined) throw found.error;
    }
    for (const row of names) untag(removal, row);
  }
  await deleteImage(removal, id, false);
  await deleteParts(removal, parts);
};

/** See `Images.remove`. */
export const removeImage = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
  name: string,
  options: RemoveOptions,
): Promise<DeleteItem[]> => {
  const removal: Removal = { dependencies, catalog, options, items: [], names: [] };
  const { id } = catalog.named(name);
  const platforms = options.platforms ?? [];
  if (platforms.length > 0) {
    const { isAll, images } = findPlatforms(dependencies, catalog, name, options);
    if (!isAll) {
      for (const row of images) await deleteImage(removal, row.id, false);
      sweepManifests(dependencies, catalog);
      return removal.items;
    }
  }
  await (isIdPrefix(id, name) ? removeById(removal, id) : removeByName(removal, id, name));
  return removal.items;
};
