/**
 * Names that stand for several platforms.
 *
 * Such a name has a *target*: an index (image-spec 1.1 image-index.md), kept word for word among the rows of manifests. Of what it
 * lists, its *members*, any number may be here: as images of their own (each an `ImageRow` with an id of its own, without names),
 * or kept as they came (attestations, other operating systems). Of the images that are here one is the *main* one: the
 * name's `imageId`, what everything takes that does not ask for a platform. It is the best for this machine, else
 * the first one listed.
 *
 * Rows of manifests live as long as something leads to them: a name's target or digest, an image in the trash, the index above,
 * the subject that they refer to or are attached to by a tag. `unreachable` says which do not.
 */
import type { ImageDependencies } from "#image/dependencies.ts";
import type { KeptImage } from "#image/kept.ts";
import { machinePlatform } from "#image/machine-platform.ts";
import type { ImageRow, ReferenceRow } from "#metadata/images.ts";
import { platformOf } from "#spec/image/config.ts";
import { type JsonObject, asArray, asObject, decodeJson } from "#spec/image/decode.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import type { Digest } from "#spec/image/digest.ts";
import { type ImageIndex, type ImageManifest, parseManifest } from "#spec/image/manifest.ts";
import { isConfigType } from "#spec/image/media-type.ts";
import { attachedTags, subjectOfTag } from "#spec/distribution/name.ts";
import { type Platform, platformScore } from "#spec/image/platform.ts";

/** As the API has it. */
export type MemberKind = "image" | "attestation" | "unknown";

export interface IndexMember {
  readonly descriptor: Descriptor;
  /** The descriptor as the index has it, with what naru does not know. */
  readonly entry: JsonObject;
  readonly kind: MemberKind;
  /** Set when it is here to be run. */
  readonly image: ImageRow | undefined;
  /** All of it is here: as an image, or as it came. */
  readonly isAvailable: boolean;
}

/** How BuildKit marks attestations, and the image that they speak of. */
export const REFERENCE_TYPE = "vnd.docker.reference.type";
export const REFERENCE_DIGEST = "vnd.docker.reference.digest";
export const ATTESTATION = "attestation-manifest";

const DEPTH_MAX = 4;
const REMEMBERED = 256;

interface Document {
  readonly manifest: ImageIndex | ImageManifest;
  readonly entries: readonly JsonObject[];
}

export interface Indexes {
  /** What the document says; undefined when it is not here. */
  document(digest: Digest): ImageIndex | ImageManifest | undefined;
  /** In the index's order, those of nested indexes in the place of theirs. Empty when it is not here, or is no index. */
  members(target: Digest): readonly IndexMember[];
  /** Members that are here to be run, each once. */
  images(target: Digest): readonly ImageRow[];
  main(target: Digest): ImageRow | undefined;
  /** Ids of all images that a name's target lists: whatever looks nameless is one's part. */
  parts(): ReadonlySet<Digest>;
  /** Names of indexes that list the image: those of a part, which has none of its own. */
  namesOf(imageId: Digest): readonly ReferenceRow[];
  /** Manifests that were kept because they refer to `subject`, or are attached to it by a tag. */
  referrers(subject: Digest): readonly Digest[];
  /** What it refers to, or is attached to. */
  subjectOf(digest: Digest): Digest | undefined;
  /** Manifests that nothing leads to. */
  unreachable(): readonly Digest[];
}

type Parts = Pick<ImageDependencies, "rows" | "trash">;

const isOwnAttestation = ({ annotations }: Descriptor): boolean =>
  annotations?.[REFERENCE_TYPE] === ATTESTATION;

/** What an index says of its images counts: their configs need not know it. */
export const platformOfMember = ({ descriptor, image }: IndexMember): Platform | undefined =>
  descriptor.platform ?? (image === undefined ? undefined : platformOf(image.config));

/** Of the images that are here the one that serves `wanted` best; undefined when none does. */
export const bestImage = (
  members: readonly IndexMember[],
  wanted: Platform,
): ImageRow | undefined => {
  let best: { readonly image: ImageRow; readonly score: number } | undefined;
  for (const member of members) {
    const platform = platformOfMember(member);
    if (member.image === undefined || platform === undefined) continue;
    const score = platformScore(platform, wanted);
    if (score > (best?.score ?? 0)) best = { image: member.image, score };
  }
  return best?.image;
};

/** The best for this machine, else the first that is here. */
export const mainImage = (members: readonly IndexMember[]): ImageRow | undefined =>
  bestImage(members, machinePlatform()) ?? members.find(({ image }) => image !== undefined)?.image;

class Documents implements Indexes {
  readonly #parts: Parts;
  /** By digest, in order of use. */
  readonly #documents = new Map<Digest, Document>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  #read(digest: Digest): Document | undefined {
    const { manifests } = this.#parts.rows;
    if (!manifests.has(digest)) return undefined;
    const known = this.#documents.get(digest);
    if (known !== undefined) return known;
    const row = manifests.get(digest);
    if (row === undefined) return undefined;
    const object = asObject(decodeJson(row.document, "image manifest"), "image manifest");
    const made: Document = {
      manifest: parseManifest(row.document, row.mediaType),
      entries: asArray(object["manifests"], "manifests").map((entry) => asObject(entry, "entry")),
    };
    this.#documents.set(digest, made);
    for (const oldest of this.#documents.keys()) {
      if (this.#documents.size <= REMEMBERED) break;
      this.#documents.delete(oldest);
    }
    return made;
  }

  #member(descriptor: Descriptor, entry: JsonObject): IndexMember {
    const { rows } = this.#parts;
    const { digest } = descriptor;
    const imageId = rows.manifests.imageOf(digest);
    const image = imageId === undefined ? undefined : rows.get(imageId);
    const isAvailable = imageId === undefined ? rows.manifests.has(digest) : image !== undefined;
    const manifest = this.#read(digest)?.manifest;
    const hasConfig = manifest?.kind === "manifest" && isConfigType(manifest.config.mediaType);
    const isRunnable = manifest === undefined || hasConfig || image !== undefined;
    const { platform } = descriptor;
    const isImage = isRunnable && platform?.os !== "unknown";
    const kind = isOwnAttestation(descriptor) ? "attestation" : isImage ? "image" : "unknown";
    return { descriptor, entry, kind, image, isAvailable };
  }

  document(digest: Digest): ImageIndex | ImageManifest | undefined {
    return this.#read(digest)?.manifest;
  }

  members(target: Digest): readonly IndexMember[] {
    return this.#below(target, 0);
  }

  #below(target: Digest, depth: number): readonly IndexMember[] {
    const index = this.#read(target);
    if (index === undefined || index.manifest.kind !== "index" || depth > DEPTH_MAX) return [];
    return index.manifest.manifests.flatMap((descriptor, at) =>
      this.document(descriptor.digest)?.kind === "index"
        ? this.#below(descriptor.digest, depth + 1)
        : [this.#member(descriptor, index.entries[at] ?? {})],
    );
  }

  images(target: Digest): readonly ImageRow[] {
    const found = this.members(target).flatMap(({ image }) => (image === undefined ? [] : [image]));
    return [...new Map(found.map((row) => [row.id, row])).values()];
  }

  main(target: Digest): ImageRow | undefined {
    return mainImage(this.members(target));
  }

  parts(): ReadonlySet<Digest> {
    const { rows } = this.#parts;
    if (rows.manifests.digests().length === 0) return new Set();
    const targets = [...rows.list()].flatMap(({ id }) =>
      rows.references(id).flatMap(({ target }) => target ?? []),
    );
    const parts = [...new Set(targets)].flatMap((target) => this.images(target));
    return new Set(parts.map(({ id }) => id));
  }

  namesOf(imageId: Digest): readonly ReferenceRow[] {
    const { rows } = this.#parts;
    if (rows.manifests.digests().length === 0) return [];
    const isListed = ({ target }: ReferenceRow): boolean =>
      target !== undefined && this.images(target).some(({ id }) => id === imageId);
    return rows.references().filter(isListed);
  }

  referrers(subject: Digest): readonly Digest[] {
    const { manifests } = this.#parts.rows;
    const referring = manifests
      .digests()
      .filter((one) => manifests.imageOf(one) === undefined)
      .filter((one) => this.document(one)?.subject?.digest === subject);
    return [...new Set([...referring, ...this.#attached(subject)])];
  }

  #attached(subject: Digest): readonly Digest[] {
    const { manifests } = this.#parts.rows;
    return attachedTags(subject).flatMap((tag) => manifests.attachedAs(tag) ?? []);
  }

  subjectOf(digest: Digest): Digest | undefined {
    const told = this.document(digest)?.subject?.digest;
    if (told !== undefined) return told;
    const [subject] = this.#parts.rows.manifests
      .tagsOf(digest)
      .flatMap((tag) => subjectOfTag(tag) ?? []);
    return subject;
  }

  #roots(): readonly Digest[] {
    const { rows, trash } = this.#parts;
    return [
      ...rows.references().flatMap(({ target, digest }) => [target, digest]),
      ...[...rows.list()].flatMap(({ id, manifestDigest }) => [id, manifestDigest]),
      ...trash.all("image").flatMap(({ record }) => {
        const { image, names } = JSON.parse(record) as KeptImage;
        const named = names.flatMap(({ target, digest }) => [target, digest]);
        return [...named, image.id, image.manifestDigest];
      }),
    ].filter((digest) => digest !== undefined);
  }

  unreachable(): readonly Digest[] {
    const all = this.#parts.rows.manifests.digests();
    if (all.length === 0) return [];
    const bySubject = Map.groupBy(all, (digest) => this.document(digest)?.subject?.digest);
    const reached = new Set<Digest>();
    const queue = [...this.#roots()];
    for (let digest = queue.pop(); digest !== undefined; digest = queue.pop()) {
      if (reached.has(digest)) continue;
      reached.add(digest);
      const manifest = this.document(digest);
      if (manifest?.kind === "index") queue.push(...manifest.manifests.map((one) => one.digest));
      queue.push(...(bySubject.get(digest) ?? []), ...this.#attached(digest));
    }
    return all.filter((digest) => !reached.has(digest));
  }
}

export const createIndexes = (parts: Parts): Indexes => new Documents(parts);
