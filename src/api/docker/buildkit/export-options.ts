/** What exporters are asked for: every attribute is understood or refused by name (pure). */
import type { Attributes } from "#api/docker/buildkit/attributes.ts";
import { FORMAT_KEYS, flagOf, formatOf } from "#api/docker/buildkit/format.ts";
import type { ExporterOptions } from "#api/docker/buildkit/jobs.ts";
import type { LayerFormat } from "#image/bundle.ts";
import { NaruError } from "#lib/errors.ts";
import { type Platform, formatPlatform, parsePlatform } from "#spec/image/platform.ts";
import { parseReference } from "#spec/image/reference.ts";

export type ExporterKind = "image" | "docker" | "oci" | "tar" | "local";

type Texts = Readonly<Record<string, string>>;

/** Of an index, its descriptor in a layout, of manifests and their descriptors, for one platform or for all. */
interface Annotation {
  readonly where: "index" | "index-descriptor" | "manifest" | "manifest-descriptor";
  /** "" for all. */
  readonly platform: string;
  readonly key: string;
  readonly value: string;
}

export interface ImageOutput {
  readonly names: readonly string[];
  readonly isPushed: boolean;
  /** False: not kept among the images of this machine. */
  readonly isStored: boolean;
  readonly isTar: boolean;
  readonly format: LayerFormat;
  /** Nothing was said of how it is to be written. */
  readonly isPlain: boolean;
  readonly annotations: readonly Annotation[];
  /** What clients want attested by default has a place here. */
  readonly hasInline: boolean;
  /** Pushed without a tag. */
  readonly isByDigest: boolean;
  /** Known by its digest, too. */
  readonly isCanonical: boolean;
}

// "load" is docker compose's word for what happens anyway: the image is the engine's own; its layers are always
// unpacked, and files of its own making are never later than SOURCE_DATE_EPOCH.
const SHARED_KEYS = ["name", "rewrite-timestamp", "attestation-inline", ...FORMAT_KEYS];
const PUSH_KEYS = ["push", "push-by-digest", "name-canonical"];
const IMAGE_KEYS = [...PUSH_KEYS, "store", "load", "unpack", ...SHARED_KEYS];
const ARCHIVE_KEYS = ["tar", "dest", ...SHARED_KEYS];
const FILE_KEYS = ["dest", "platform-split", "attestation-prefix"];

const KNOWN: Readonly<Record<ExporterKind, readonly string[]>> = {
  image: IMAGE_KEYS,
  docker: ARCHIVE_KEYS,
  oci: ARCHIVE_KEYS,
  tar: FILE_KEYS,
  local: FILE_KEYS,
};

/** Throws not_implemented. */
export const exporterKind = (type: string): ExporterKind => {
  const kind = type === "moby" ? "image" : type;
  if (kind in KNOWN) return kind as ExporterKind;
  const remedy = `use ${Object.keys(KNOWN).join(", ")}`;
  throw new NaruError("not_implemented", `exporter "${type}" is not supported: ${remedy}`);
};

const ANNOTATION =
  /^annotation(?:-(index|index-descriptor|manifest|manifest-descriptor))?(?:\[([A-Za-z0-9_/.-]+)\])?\.(\S+)$/;

const annotationOf = (name: string, value: string): Annotation | undefined => {
  const match = ANNOTATION.exec(name);
  if (match === null) return undefined;
  const [, where = "manifest", platform = "", key = ""] = match;
  return {
    where: where as Annotation["where"],
    platform: platform === "" ? "" : formatPlatform(parsePlatform(platform)),
    key,
    value,
  };
};

/** In a map by key; later ones win. */
export const annotationsFor = (
  { annotations }: ImageOutput,
  where: Annotation["where"],
  platform?: Platform,
): Texts => {
  const wanted = platform === undefined ? "" : formatPlatform(platform);
  return Object.fromEntries(
    annotations
      .filter((one) => one.where === where && (one.platform === "" || one.platform === wanted))
      .map(({ key, value }) => [key, value]),
  );
};

export const namesOf = (attributes: Attributes): string[] =>
  (attributes["name"] ?? "").split(",").filter((name) => name !== "");

/** Throws before the build begins. */
export const checkExporter = ({ type, attributes }: ExporterOptions): void => {
  const kind = exporterKind(type);
  const isImage = kind === "image" || kind === "docker" || kind === "oci";
  for (const [name, value] of Object.entries(attributes)) {
    if (KNOWN[kind].includes(name) || (isImage && annotationOf(name, value) !== undefined)) {
      continue;
    }
    const what = `option "${name}=${value}" of exporter "${type}"`;
    throw new NaruError("not_implemented", `${what} is not supported: leave it out`);
  }
  if (kind === "docker" && !flagOf(attributes, "tar", true)) {
    const what = 'option "tar=false" of exporter "docker"';
    throw new NaruError("not_implemented", `${what} is not supported: use type=oci`);
  }
  namesOf(attributes).forEach((name) => parseReference(name));
  if (isImage) imageOutputOf({ type, attributes });
};

/** Of the exporters image, docker and oci. Throws invalid_argument and not_implemented. */
export const imageOutputOf = ({ type, attributes }: ExporterOptions): ImageOutput => {
  const annotations = Object.entries(attributes).flatMap(
    ([name, value]) => annotationOf(name, value) ?? [],
  );
  // Annotations have no place in Docker's own types.
  const isOci = exporterKind(type) !== "docker" || annotations.length > 0;
  const isPushed = flagOf(attributes, "push", false);
  const isByDigest = flagOf(attributes, "push-by-digest", false);
  const isCanonical = flagOf(attributes, "name-canonical", false);
  const isImage = exporterKind(type) === "image";
  return {
    names: namesOf(attributes),
    isPushed,
    isByDigest,
    isCanonical,
    hasInline: flagOf(attributes, "attestation-inline", isImage && isPushed),
    isStored: flagOf(attributes, "store", true) || flagOf(attributes, "load", false),
    isTar: flagOf(attributes, "tar", true),
    format: formatOf(attributes, isOci),
    isPlain:
      annotations.length === 0 &&
      !isByDigest &&
      !isCanonical &&
      FORMAT_KEYS.every((name) => (attributes[name] ?? "") === ""),
    annotations,
  };
};
