/** The last step of what makes an index with its images: rows of manifests, images and names in one transaction. */
import { publishImageEvent } from "#image/event.ts";
import type { StoredImage } from "#image/image.ts";
import type { Indexes } from "#image/indexes.ts";
import {
  type RegisterParts,
  checkLayers,
  targetOf,
  writeImage,
  writeReference,
} from "#image/register.ts";
import { NaruError } from "#lib/errors.ts";
import type { ManifestRow } from "#metadata/image-manifests.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import { familiarString } from "#spec/image/reference.ts";

/** An image of an index: its manifest's digest is that of a descriptor of the index. */
export interface IndexImage {
  readonly image: StoredImage;
  readonly manifest: Omit<ManifestRow, "imageId">;
}

export interface IndexRegistration {
  /** The index that the names stand for. */
  readonly target: Digest;
  /** The index, those below it, and what is kept as it came. Blobs are stored before. */
  readonly documents: readonly ManifestRow[];
  /** Those that are here; the index may list more. */
  readonly images: readonly IndexImage[];
  /** "repo:tag" or "repo@digest". */
  readonly references: readonly string[];
}

type Parts = Pick<RegisterParts, "rows">;

/** Every name of the index gets the main image of what is here now. False when nothing is: then no name can stay. */
export const alignNames = ({ rows }: Parts, indexes: Indexes, target: Digest): boolean => {
  const main = indexes.main(target);
  if (main === undefined) return false;
  for (const name of rows.references()) {
    if (name.target !== target || name.imageId === main.id) continue;
    rows.setReference({ ...name, imageId: main.id });
  }
  return true;
};

const write = (
  { rows }: Parts,
  indexes: Indexes,
  { target, documents, images, references }: IndexRegistration,
): Digest => {
  for (const row of documents) rows.manifests.put(row);
  for (const { image, manifest } of images) {
    const imageId = writeImage({ rows }, image);
    rows.manifests.put({ ...manifest, imageId });
  }
  const main = indexes.main(target);
  if (main === undefined) {
    throw new NaruError("failed_precondition", `index "${target}" has no image that is here`);
  }
  for (const text of references) writeReference({ rows }, targetOf(text), main.id, target);
  alignNames({ rows }, indexes, target);
  return main.id;
};

/**
 * Writes rows for an index and those of its images that are stored, beside those that are here already, and points the names
 * at it. Layers have to be there (failed_precondition). `events`: names that appear are told as tags, or by the caller.
 * Returns the id of the main image.
 */
export const registerIndex = (
  parts: RegisterParts,
  indexes: Indexes,
  registration: IndexRegistration,
  events: "tag" | "silent" = "tag",
): Digest => {
  for (const { image } of registration.images) checkLayers(parts, image);
  const id = parts.rows.transaction(() => write(parts, indexes, registration));
  if (events === "tag") {
    for (const text of registration.references) {
      publishImageEvent(parts, "tag", id, familiarString(targetOf(text)));
    }
  }
  return id;
};

/** As rows. `digest` of the text when absent. */
export const manifestRow = (document: string, mediaType: string, digest?: Digest): ManifestRow => ({
  digest: digest ?? digestOf(document),
  mediaType,
  document,
});
