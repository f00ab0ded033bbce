/** The last step of what brings an artifact under a name of its own. */
import type { ImageDependencies } from "#image/dependencies.ts";
import type { RemoteKept } from "#image/pull-manifest.ts";
import { targetOf, writeReference } from "#image/register.ts";
import { now } from "#lib/clock.ts";
import type { Digest } from "#spec/image/digest.ts";

/** Rows and names, once its blobs are stored. */
export const registerArtifact = (
  { rows }: Pick<ImageDependencies, "rows">,
  { fetched, manifest }: RemoteKept,
  references: readonly string[],
): Digest => {
  const { digest } = fetched.descriptor;
  const blobs = new Map([manifest.config, ...manifest.layers].map((blob) => [blob.digest, blob]));
  const sizeBytes = [...blobs.values()].reduce((sum, { size }) => sum + size, 0);
  rows.transaction(() => {
    rows.manifests.put({ digest, mediaType: manifest.mediaType, document: fetched.text });
    rows.put({ id: digest, configText: fetched.text, sizeBytes, storedAt: now() });
    for (const text of references) writeReference({ rows }, targetOf(text), digest);
  });
  return digest;
};
