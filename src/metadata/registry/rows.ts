/**
 * What a registry knows, apart from the bytes of blobs: repositories, manifests, tags, which blobs a
 * repository has, uploads under way. All calls are synchronous; changes that belong together are made in
 * one `transaction`.
 */
import type { Database } from "#database/database.ts";
import { createBlobRows } from "#metadata/registry/blobs.ts";
import { createManifestRows } from "#metadata/registry/manifests.ts";
import { createRepositoryRows } from "#metadata/registry/repositories.ts";
import { createTagRows } from "#metadata/registry/tags.ts";
import { createUploadRows } from "#metadata/registry/uploads.ts";

export const createRegistryRows = (database: Database) => ({
  repositories: createRepositoryRows(database),
  manifests: createManifestRows(database),
  tags: createTagRows(database),
  blobs: createBlobRows(database),
  uploads: createUploadRows(database),
  transaction: <T>(work: () => T): T => database.transaction(work),
});

export type RegistryRows = ReturnType<typeof createRegistryRows>;
