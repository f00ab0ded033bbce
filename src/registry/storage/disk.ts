/** Blobs as files of the content store. See storage.ts. */
import { statSync } from "node:fs";
import type { Content } from "#content/content.ts";
import type { BlobStorage } from "#registry/storage/storage.ts";

export const createDiskStorage = (content: Content): BlobStorage => ({
  adopt: async (file, digest, sizeBytes) => void (await content.adopt(file, digest, sizeBytes)),
  locate: (digest) => ({ path: content.path(digest) }),
  delete: (digest) => content.delete(digest),
  async *walk() {
    for (const { digest, path, sizeBytes } of content.walk()) {
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat !== undefined) yield { digest, sizeBytes, changedAtMs: stat.ctimeMs };
    }
  },
  [Symbol.asyncDispose]: () => Promise.resolve(),
});
