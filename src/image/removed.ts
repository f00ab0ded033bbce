/**
 * Images that were removed and can be brought back: the row and its names in the trash, layers and blobs kept as long
 * as it is there. Whatever decides what is needed no longer has to ask `keptImages` too.
 */
import { type Catalog, familiarRow } from "#image/catalog.ts";
import { deleteFiles, unneededChains } from "#image/collect.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { publishImageEvent } from "#image/event.ts";
import { sweepManifests } from "#image/manifests.ts";
import { NaruError } from "#lib/errors.ts";
import type { ImageRow, ReferenceRow } from "#metadata/images.ts";
import type { TrashRow, TrashSource } from "#metadata/trash.ts";
import type { KeptImage } from "#image/kept.ts";

/** In one transaction: the image's row goes, and a row in the trash comes. */
export const moveToTrash = (
  { rows, trash }: ImageDependencies,
  row: ImageRow,
  names: readonly ReferenceRow[],
  batch: string,
): void => {
  const { id, configText, parent, manifestDigest, sizeBytes, storedAt, lastTaggedAt } = row;
  const image: KeptImage["image"] = {
    id,
    configText,
    sizeBytes,
    storedAt,
    ...(parent === undefined ? {} : { parent }),
    ...(manifestDigest === undefined ? {} : { manifestDigest }),
    ...(lastTaggedAt === undefined ? {} : { lastTaggedAt }),
  };
  const record: KeptImage = { image, names };
  const [first] = names;
  const name = first === undefined ? id : familiarRow(first);
  rows.transaction(() => {
    trash.put({ batch, kind: "image", key: id, name, record: JSON.stringify(record) });
    rows.delete(id);
  });
};

const undo = (dependencies: ImageDependencies, catalog: Catalog, row: TrashRow): void => {
  const { rows, trash, layers } = dependencies;
  const { image, names } = JSON.parse(row.record) as KeptImage;
  const taken = names.filter(({ repository, tag, digest }) => {
    const holder = rows.findReference(repository, tag, digest);
    return holder !== undefined && holder !== image.id;
  });
  if (names.length > 0 && taken.length === names.length) {
    throw new NaruError(
      "already_exists",
      `image "${row.name}" cannot be brought back: another image has its name now; tag that one otherwise first`,
    );
  }
  rows.transaction(() => {
    rows.put(image);
    for (const name of names) if (!taken.includes(name)) rows.setReference(name);
    trash.delete(row.id);
  });
  const missing = catalog
    .chain(catalog.row(image.id))
    .find((chainId) => layers.layer(chainId) === undefined);
  if (missing !== undefined) {
    dependencies.log.error("an image came back without all of its layers: pull or load it again", {
      image: image.id,
      layer: missing,
    });
  }
  for (const name of names) {
    if (!taken.includes(name)) publishImageEvent(dependencies, "tag", image.id, familiarRow(name));
  }
};

export const removedImages = (dependencies: ImageDependencies, catalog: Catalog): TrashSource => ({
  kind: "image",
  undo: async (row) => undo(dependencies, catalog, row),
  purge: async (row) => {
    dependencies.trash.delete(row.id);
    const { image } = JSON.parse(row.record) as KeptImage;
    deleteFiles(dependencies, catalog, image.configText, image.manifestDigest);
    sweepManifests(dependencies, catalog);
  },
  sizeBytes: async (row) => {
    const { configText } = (JSON.parse(row.record) as KeptImage).image;
    return unneededChains(dependencies, catalog, configText, row.id)
      .map((chainId) => dependencies.layers.layer(chainId)?.sizeBytes ?? 0)
      .reduce((sum, size) => sum + size, 0);
  },
});
