/** The last step of what brings an artifact under a name of its own. */
import type { ImageDependencies } from "#image/dependencies.ts";
import { targetOf, writeReference } from "#image/register.ts";
import { now } from "#lib/clock.ts";
import type { Digest } from "#spec/image/digest.ts";
import type { ImageManifest } from "#spec/image/manifest.ts";

export interface Artifact {
  readonly digest: Digest;
  /** The manifest's exact bytes. */
  readonly text: string;
  readonly manifest: ImageManifest;
}

/** Rows and names, once its blobs are stored. */
export const registerArtifact = (
  { rows }: Pick<ImageDependencies, "rows">,
  { digest, manifest, text }: Artifact,
  references: readonly string[],
): Digest => {
  const blobs = new Map([manifest.config, ...manifest.layers].map((blob) => [blob.digest, blob]));
  const sizeBytes = [...blobs.values()].reduce((sum, { size }) => sum + size, 0);
  rows.transaction(() => {
    rows.manifests.put({ digest, mediaType: manifest.mediaType, document: text });
    rows.put({ id: digest, configText: text, sizeBytes, storedAt: now() });
    for (const text of references) writeReference({ rows }, targetOf(text), digest);
  });
  return digest;
};
