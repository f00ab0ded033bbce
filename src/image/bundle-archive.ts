/** A bundle as a tar: an OCI layout, and a Docker archive where that is asked for. See bundle.ts. */
import { ArchivePlan, blobName } from "#image/archive-plan.ts";
import type { Bundle } from "#image/bundle.ts";
import type { SavedArchive } from "#image/archive-segment.ts";
import { streamSegments } from "#image/segments.ts";
import { NaruError } from "#lib/errors.ts";
import { CONTAINERD_NAME, REF_NAME } from "#spec/image/descriptor.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import { OCI_INDEX } from "#spec/image/media-type.ts";
import {
  familiarString,
  formatReference,
  parseReference,
  withDefaultTag,
} from "#spec/image/reference.ts";

/** What Docker's loader reads: it knows one image by its config and the order of its layers. */
const dockerManifest = ({ root, documents }: Bundle, tags: readonly string[]): string => {
  const text = documents.find(({ descriptor }) => descriptor.digest === root.digest)?.text ?? "";
  const manifest = parseManifest(text, root.mediaType);
  if (manifest.kind === "index") {
    const reason = "a Docker archive holds one image without attestations: export it as type=oci";
    throw new NaruError("invalid_argument", reason);
  }
  const Layers = manifest.layers.map(({ digest }) => blobName(digest));
  const RepoTags = tags.length === 0 ? null : tags;
  return JSON.stringify([{ Config: blobName(manifest.config.digest), RepoTags, Layers }]);
};

/** See `Bundles.archive`. */
export const bundleArchive = (
  bundle: Bundle,
  names: readonly string[],
  kind: "oci" | "docker",
): SavedArchive => {
  const references = names.map((name) => withDefaultTag(parseReference(name)));
  const plan = new ArchivePlan();
  plan.directory("blobs");
  plan.directory("blobs/sha256");
  for (const { descriptor, path } of bundle.blobs) {
    plan.file(blobName(descriptor.digest), path, descriptor.size);
  }
  for (const { descriptor, text } of bundle.documents) {
    plan.document(blobName(descriptor.digest), text);
  }
  const manifests = references.map((reference) => ({
    ...bundle.root,
    annotations: {
      ...bundle.root.annotations,
      [CONTAINERD_NAME]: formatReference(reference),
      [REF_NAME]: reference.tag,
    },
  }));
  const index = {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: manifests.length === 0 ? [bundle.root] : manifests,
  };
  plan.document("index.json", JSON.stringify(index));
  if (kind === "docker") {
    plan.document("manifest.json", dockerManifest(bundle, references.map(familiarString)));
  }
  plan.document("oci-layout", '{"imageLayoutVersion":"1.0.0"}');
  plan.end();
  return {
    sizeBytes: plan.sizeBytes,
    segments: plan.segments,
    stream: (signal) => streamSegments(plan.segments, signal),
    // The bundle's owner keeps the files.
    [Symbol.dispose]: () => undefined,
  };
};
