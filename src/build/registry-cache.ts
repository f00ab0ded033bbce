/** A cache, or an image that carries one, at a registry. */
import type { CacheSource } from "#build/build.ts";
import type { Bundles } from "#image/bundle.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import { parseReference, repositoryOf } from "#spec/image/reference.ts";

export const registryCache = (
  bundles: Pick<Bundles, "fetchDocument" | "fetchBlob">,
  reference: string,
  credentials: AuthConfig,
): CacheSource => {
  const repository = repositoryOf(parseReference(reference));
  return {
    name: reference,
    document: async (digest, signal) => {
      const name = digest === undefined ? reference : `${repository}@${digest}`;
      const { text, descriptor } = await bundles.fetchDocument(name, credentials, signal);
      return { text, mediaType: descriptor.mediaType };
    },
    blob: (blob, signal) => bundles.fetchBlob(reference, blob, credentials, signal),
  };
};
