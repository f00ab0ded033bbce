/** The registry over its own store. See registry.ts for what each method promises. */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "#lib/atomic-file.ts";
import { now, nowNs } from "#lib/clock.ts";
import type { Logger } from "#lib/log.ts";
import type { RegistryRows } from "#metadata/registry/rows.ts";
import { type CollectOptions, collect } from "#registry/collect.ts";
import { Commits } from "#registry/commits.ts";
import type { RegistryLimits } from "#registry/limits.ts";
import { ManifestCache } from "#registry/manifest-cache.ts";
import {
  checkParts,
  deleteManifest,
  putManifest,
  readManifest,
  unknownName,
} from "#registry/manifests.ts";
import { Quotas } from "#registry/quota.ts";
import type {
  Blob,
  MountSource,
  NewManifest,
  Page,
  PageQuery,
  ReferrersQuery,
  Registry,
} from "#registry/registry.ts";
import { retain } from "#registry/retention-run.ts";
import type { Rules } from "#registry/rules.ts";
import type { BlobStorage } from "#registry/storage/storage.ts";
import { Sightings } from "#registry/sightings.ts";
import { UploadSessions } from "#registry/uploads.ts";
import { distributionError } from "#spec/distribution/errors.ts";
import { parseDigestParameter, parseRepositoryName } from "#spec/distribution/name.ts";
import type { Digest } from "#spec/image/digest.ts";

export interface LocalInputs {
  /** Absolute; uploads are kept in it, on the file system of a storage on disk. */
  readonly root: string;
  readonly storage: BlobStorage;
  readonly rows: RegistryRows;
  readonly rules: Rules;
  readonly limits: RegistryLimits;
  readonly log: Logger;
}

export interface LocalDependencies extends LocalInputs {
  readonly cache: ManifestCache;
  readonly sightings: Sightings;
  readonly quotas: Quotas;
  readonly commits: Commits;
}

/** Repositories that are looked at for a blob that is to be mounted from anywhere. */
const HOLDERS_LIMIT = 100;
const EXPIRE_EVERY_MS = 60_000;

export const blobAt = (storage: BlobStorage, digest: Digest, sizeBytes: number): Blob => ({
  digest,
  sizeBytes,
  path: "",
  ...storage.locate(digest),
});

const unknownBlob = (repository: string, digest: string) =>
  distributionError("BLOB_UNKNOWN", `"${repository}" has no blob ${digest}`, {
    detail: { name: repository, digest },
  });

/** One row more than the page is asked for, to know whether there is another page. */
const pageOf = <T>(
  query: PageQuery,
  maxPage: number,
  read: (last: string, limit: number) => T[],
  keyOf: (item: T) => string,
): Page<T> => {
  const limit = Math.min(query.limit ?? maxPage, maxPage);
  if (limit === 0) return { items: [], next: undefined };
  const rows = read(query.last ?? "", limit + 1);
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return { items, next: rows.length > limit && last !== undefined ? keyOf(last) : undefined };
};

const createBlobs = (deps: LocalDependencies) => {
  const { rows, storage, sightings } = deps;
  const find = (repository: string, digest: Digest): Blob | undefined => {
    const repositoryId = rows.repositories.idOf(repository);
    if (repositoryId === undefined) return undefined;
    const sizeBytes = rows.blobs.sizeOf(repositoryId, digest);
    if (sizeBytes === undefined) return undefined;
    // Whoever was told that it is here need not push it again: collection waits.
    sightings.see(repository, digest);
    return blobAt(storage, digest, sizeBytes);
  };

  const link = (repository: string, blob: Blob): void => {
    deps.quotas.check(repository, blob.sizeBytes, blob.digest);
    using coming = deps.quotas.coming(repository, blob.sizeBytes, blob.digest);
    rows.transaction(() => {
      const repositoryId = rows.repositories.ensure(repository);
      rows.blobs.link(repositoryId, blob.digest, blob.sizeBytes, now());
      sightings.see(repository, blob.digest);
    });
    coming.keep();
  };

  return {
    find,
    get: (repository: string, digest: string): Blob => {
      parseRepositoryName(repository);
      const blob = find(repository, parseDigestParameter(digest));
      if (blob === undefined) throw unknownBlob(repository, digest);
      return blob;
    },
    mount: (repository: string, source: MountSource): Blob | undefined => {
      parseRepositoryName(repository);
      const digest = parseDigestParameter(source.digest);
      const from =
        source.from === undefined ? rows.blobs.holders(digest, HOLDERS_LIMIT) : [source.from];
      for (const name of from) {
        const blob = source.mayRead(name) ? find(name, digest) : undefined;
        if (blob === undefined) continue;
        link(repository, blob);
        return blob;
      }
      return undefined;
    },
    delete: (repository: string, digest: string): void => {
      parseRepositoryName(repository);
      const wanted = parseDigestParameter(digest);
      const repositoryId = rows.repositories.idOf(repository);
      if (repositoryId !== undefined) checkParts(deps, repository, repositoryId, wanted);
      if (repositoryId === undefined || !rows.blobs.unlink(repositoryId, wanted)) {
        throw unknownBlob(repository, digest);
      }
      if (!rows.blobs.isHeld(wanted) && !deps.commits.isHeld(wanted)) storage.delete(wanted);
    },
  };
};

const createReferrers =
  ({ rows, limits }: LocalDependencies) =>
  (repository: string, digest: string, query: ReferrersQuery) => {
    parseRepositoryName(repository);
    const subject = parseDigestParameter(digest);
    const repositoryId = rows.repositories.idOf(repository);
    return pageOf(
      query,
      limits.maxPage,
      (last, limit) =>
        repositoryId === undefined
          ? []
          : rows.manifests.referrers(repositoryId, subject, query.artifactType ?? "", last, limit),
      (row) => row.digest,
    );
  };

/** What the registry's parts share. */
export const shareInputs = (inputs: LocalInputs): LocalDependencies => ({
  ...inputs,
  cache: new ManifestCache(inputs.limits.cacheBytes),
  sightings: new Sightings(inputs.limits.graceMs),
  quotas: new Quotas(inputs.rules, inputs.rows),
  commits: new Commits(),
});

const wallMs = (): number => Number(nowNs() / 1_000_000n);

/** What the process before this one saw. Taken once: after a crash nobody knows what was seen. */
const recall = ({ sightings, log }: LocalDependencies, path: string): void => {
  if (!existsSync(path)) return;
  try {
    const text = readFileSync(path, "utf8");
    rmSync(path);
    sightings.restore(text, wallMs());
  } catch (error) {
    log.warn("what clients were told of lately is not known: collection waits", { path, error });
  }
};

/** Opens the store: uploads that were left are taken up again. Owned by the caller; `close` it. */
export const createLocalRegistry = (deps: LocalDependencies): Registry => {
  const { rows, limits, log } = deps;
  const blobs = createBlobs(deps);
  const uploads = new UploadSessions(deps);
  const remembered = join(deps.root, "sightings.json");
  recall(deps, remembered);
  const timer = setInterval(() => {
    const count = uploads.expire();
    if (count > 0) log.info("removed uploads that nobody went on with", { count });
    deps.sightings.forget();
  }, EXPIRE_EVERY_MS).unref();

  const tags = (repository: string, query: PageQuery): Page<string> => {
    const id = rows.repositories.idOf(parseRepositoryName(repository));
    if (id === undefined) throw unknownName(repository);
    const read = (last: string, limit: number) => rows.tags.list(id, last, limit);
    return pageOf(query, limits.maxPage, read, (name) => name);
  };

  return {
    uploads,
    repositories: (query) =>
      pageOf(query, limits.maxPage, (last, limit) => rows.repositories.list(last, limit), String),
    tags,
    repositoryFor: () => undefined,
    manifest: (repository, reference) => {
      const manifest = readManifest(rows, deps.cache, parseRepositoryName(repository), reference);
      // An index that names it may follow.
      if (reference.includes(":")) deps.sightings.see(repository, manifest.digest);
      return manifest;
    },
    blob: blobs.get,
    referrers: createReferrers(deps),
    putManifest: (repository: string, manifest: NewManifest) =>
      putManifest(deps, parseRepositoryName(repository), manifest),
    mount: blobs.mount,
    deleteManifest: (repository, reference) =>
      deleteManifest(deps, parseRepositoryName(repository), reference),
    deleteBlob: blobs.delete,
    totals: () => {
      const { count, sizeBytes } = rows.blobs.totals();
      return {
        repositories: rows.repositories.count(),
        manifests: rows.manifests.count(),
        tags: rows.tags.count(),
        blobs: count,
        blobBytes: sizeBytes,
        uploads: uploads.count,
      };
    },
    collect: (options: CollectOptions) => collect(deps, options),
    retain: (options) => retain(deps, options),
    close: async () => {
      clearInterval(timer);
      const text = deps.sightings.save(wallMs());
      if (text !== undefined) writeFileAtomic(remembered, text);
    },
  };
};
