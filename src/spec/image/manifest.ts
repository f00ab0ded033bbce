/** Image manifests and indexes: image-spec 1.1 manifest.md, image-index.md, and Docker's schema 2. */
import { NaruError } from "#lib/errors.ts";
import {
  type JsonObject,
  asArray,
  asObject,
  asOptionalString,
  asStringMap,
  decodeJson,
} from "#spec/image/decode.ts";
import { type Descriptor, decodeDescriptor } from "#spec/image/descriptor.ts";
import { OCI_INDEX, OCI_MANIFEST, isIndexType, isManifestType } from "#spec/image/media-type.ts";

export interface ImageManifest {
  readonly kind: "manifest";
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly artifactType?: string;
  readonly subject?: Descriptor;
}

export interface ImageIndex {
  readonly kind: "index";
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly artifactType?: string;
  readonly subject?: Descriptor;
}

/** What images and indexes share: their kind as an artifact, and the manifest that they speak of. */
const decodeReferrer = (
  object: JsonObject,
  what: string,
): Pick<ImageManifest, "artifactType" | "subject"> => {
  const artifactType = asOptionalString(object["artifactType"], `${what}.artifactType`);
  const subject = object["subject"];
  return {
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(subject === undefined || subject === null
      ? {}
      : { subject: decodeDescriptor(subject, `${what}.subject`) }),
  };
};

const decodeIndex = (object: JsonObject, mediaType: string): ImageIndex => ({
  kind: "index",
  mediaType,
  manifests: asArray(object["manifests"], "index.manifests").map((item, index) =>
    decodeDescriptor(item, `index.manifests[${index}]`),
  ),
  annotations: asStringMap(object["annotations"], "index.annotations"),
  ...decodeReferrer(object, "index"),
});

const decodeManifest = (object: JsonObject, mediaType: string): ImageManifest => ({
  kind: "manifest",
  mediaType,
  config: decodeDescriptor(object["config"], "manifest.config"),
  layers: asArray(object["layers"], "manifest.layers").map((item, index) =>
    decodeDescriptor(item, `manifest.layers[${index}]`),
  ),
  annotations: asStringMap(object["annotations"], "manifest.annotations"),
  ...decodeReferrer(object, "manifest"),
});

/**
 * Either kind. `mediaType` (of the descriptor or the Content-Type) decides where the document itself
 * says nothing. A document that could be read as both kinds is refused (CVE-2021-41190).
 */
export const parseManifest = (text: string, mediaType = ""): ImageManifest | ImageIndex => {
  const object = asObject(decodeJson(text, "image manifest"), "image manifest");
  const own = asOptionalString(object["mediaType"], "manifest.mediaType") ?? mediaType;
  const hasManifests = "manifests" in object;
  const hasConfig = "config" in object || "layers" in object;
  if (hasManifests && hasConfig) {
    throw new NaruError("invalid_argument", "ambiguous manifest: it is both an image and an index");
  }
  if (object["schemaVersion"] === 1) {
    throw new NaruError(
      "not_implemented",
      "image manifest v2 schema 1 is not supported: push the image again with a current tool",
    );
  }
  if (isIndexType(own) || (own === "" && hasManifests))
    return decodeIndex(object, own || OCI_INDEX);
  if (isManifestType(own) || (own === "" && hasConfig)) {
    return decodeManifest(object, own || OCI_MANIFEST);
  }
  throw new NaruError("invalid_argument", `unsupported manifest media type "${own}"`);
};
