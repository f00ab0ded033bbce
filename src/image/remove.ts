/** `rmi`: takes names away, and the image with the last of them. */
import { failpoint } from "#lib/failpoint.ts";
import { type Catalog, familiarRow, isIdPrefix } from "#image/catalog.ts";
import { deleteFiles, unneededChains } from "#image/collect.ts";
import { ALL, type Conflict, HARD, findConflict } from "#image/conflict.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { publishImageEvent } from "#image/event.ts";
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

const removeByName = async (removal: Removal, id: Digest, name: string): Promise<void> => {
  const { dependencies } = removal;
  const { rows } = dependencies;
  const [user] = dependencies.users.containersOf(id);
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
  if (rows.references(id).length > 0) return;
  await deleteImage(removal, id, true);
};

/** See `Images.remove`. */
export const removeImage = async (
  dependencies: ImageDependencies,
  catalog: Catalog,
  name: string,
  options: RemoveOptions,
): Promise<DeleteItem[]> => {
  const removal: Removal = { dependencies, catalog, options, items: [], names: [] };
  const id = catalog.resolve(name);
  if (!isIdPrefix(id, name)) {
    await removeByName(removal, id, name);
    return removal.items;
  }
  const names = dependencies.rows.references(id);
  if (isSingleName(names)) {
    const soft: Conflict[] = options.isForced ? [] : ["stopped container"];
    const found = findConflict(dependencies, id, [...HARD, ...soft]);
    if (found !== undefined) throw found.error;
    for (const row of names) untag(removal, row);
  }
  await deleteImage(removal, id, false);
  return removal.items;
};
