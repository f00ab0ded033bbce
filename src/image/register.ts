/** The last step of everything that makes an image: rows and names, once blobs and layers are there. */
import { parseTagTarget } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { publishImageEvent } from "#image/event.ts";
import type { StoredImage } from "#image/image.ts";
import { now } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { chainIds } from "#spec/image/chain-id.ts";
import { parseImageConfig } from "#spec/image/config.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import {
  type Reference,
  familiarString,
  parseReference,
  repositoryOf,
} from "#spec/image/reference.ts";

export type RegisterParts = Pick<ImageDependencies, "layers" | "publish" | "rows">;
type Parts = RegisterParts;

export const targetOf = (text: string): Reference => {
  const reference = parseReference(text);
  return reference.digest === undefined ? parseTagTarget(text) : reference;
};

/** Points a name at an image, or at an index of which it is the main image; the row only. */
export const writeReference = (
  { rows }: Pick<Parts, "rows">,
  reference: Reference,
  imageId: Digest,
  target?: Digest,
): void => {
  const repository = repositoryOf(reference);
  const behind = { imageId, ...(target === undefined ? {} : { target }) };
  const row =
    reference.digest === undefined
      ? { repository, ...(reference.tag === undefined ? {} : { tag: reference.tag }), ...behind }
      : { repository, digest: reference.digest, ...behind };
  rows.setReference(row, now());
};

/** As `writeReference`; an event after commit. */
export const setReference = (
  parts: Parts,
  reference: Reference,
  imageId: Digest,
  target?: Digest,
): void => {
  writeReference(parts, reference, imageId, target);
  publishImageEvent(parts, "tag", imageId, familiarString(reference));
};

export interface Registration {
  readonly image: StoredImage;
  /** "repo:tag" or "repo@digest". */
  readonly references: readonly string[];
}

export const checkLayers = ({ layers }: Pick<Parts, "layers">, image: StoredImage): void => {
  const diffIds = parseImageConfig(image.configText).rootfs.diff_ids;
  const isSame =
    diffIds.length === image.layers.length &&
    diffIds.every((diffId, index) => image.layers[index]?.diffId === diffId);
  if (!isSame) {
    throw new NaruError("invalid_argument", "image config and stored layers are not the same");
  }
  const missing = chainIds(diffIds).find((chainId) => layers.layer(chainId) === undefined);
  if (missing !== undefined) {
    throw new NaruError("failed_precondition", `layer "${missing}" is not unpacked`);
  }
};

export const writeImage = ({ rows }: Pick<Parts, "rows">, image: StoredImage): Digest => {
  const id = digestOf(image.configText);
  const isNew = rows.get(id) === undefined;
  for (const layer of image.layers) rows.putLayer(layer.diffId, layer.sizeBytes, layer.blobs);
  rows.put({
    id,
    configText: image.configText,
    sizeBytes: image.layers.reduce((sum, layer) => sum + layer.sizeBytes, 0),
    storedAt: now(),
    // An image that was here before keeps its history: a parent that came later is none of its making.
    ...(image.parent === undefined || !isNew ? {} : { parent: image.parent }),
    ...(image.manifestDigest === undefined ? {} : { manifestDigest: image.manifestDigest }),
  });
  return id;
};

/**
 * Writes the rows of stored images and their names in one transaction. Checks that the layers are
 * there (failed_precondition), so that a row never names what is missing. `events`: names that appear are
 * told as tags, or by the caller.
 */
export const registerImages = (
  parts: Parts,
  registrations: readonly Registration[],
  events: "tag" | "silent" = "tag",
): Digest[] => {
  const ready = registrations.map(({ image, references }) => {
    checkLayers(parts, image);
    return { image, targets: references.map(targetOf) };
  });
  const ids = parts.rows.transaction(() =>
    ready.map(({ image, targets }) => {
      const id = writeImage(parts, image);
      for (const target of targets) writeReference(parts, target, id);
      return id;
    }),
  );
  ready.forEach(({ targets }, index) => {
    const id = ids[index];
    if (id === undefined || events === "silent") return;
    for (const target of targets) publishImageEvent(parts, "tag", id, familiarString(target));
  });
  return ids;
};

export const registerImage = (
  parts: Parts,
  image: StoredImage,
  references: readonly string[],
): Digest => {
  registerImages(parts, [{ image, references }]);
  return digestOf(image.configText);
};
