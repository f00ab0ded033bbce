/** Everything images do with registries, over one set of parts. Loaded on first use. */
import { rmSync } from "node:fs";
import type { Catalog } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { copyImage } from "#image/copy.ts";
import { inspectDistribution } from "#image/distribution.ts";
import { exportRemote } from "#image/export-remote.ts";
import { FetchPool } from "#image/fetch-pool.ts";
import type { ImageTransfers } from "#image/transfer.ts";
import { publishArchive } from "#image/publish.ts";
import { type PullParts, pullImages } from "#image/pull.ts";
import type { LayerFlights } from "#image/pull-layers.ts";
import { pushIndex, remoteManifest } from "#image/push-index.ts";
import { pushImages } from "#image/push.ts";
import { checkTrust } from "#image/trust-report.ts";
import { FETCH } from "#image/worker-protocol.ts";
import { SharedWork } from "#lib/shared-work.ts";
import type { Bundles } from "#image/bundle.ts";
import { bundleArchive } from "#image/bundle-archive.ts";
import { bundleImage } from "#image/bundle-image.ts";
import { bundleLayers } from "#image/bundle-layers.ts";
import { storeBundle } from "#image/bundle-store.ts";
import { fetchBlob, fetchDocument, pushBundle } from "#image/bundle-push.ts";
import { createRemote } from "#remote/client.ts";
import { parseReference } from "#spec/image/reference.ts";

export type Transfers = ImageTransfers & { readonly bundles: Bundles };

/** The same, where the registry of `name` is an insecure one. What is learnt of it stays apart. */
const trusting = (parts: PullParts, name: string): PullParts => {
  const { domain } = parseReference(name);
  const config = { ...parts.config, insecure: [...parts.config.insecure, domain] };
  return { ...parts, config, remote: createRemote(config) };
};

export const createTransfers = (dependencies: ImageDependencies, catalog: Catalog): Transfers => {
  const { registries, workerCommand } = dependencies;
  const remote = createRemote(registries.remote);
  const flights: LayerFlights = new SharedWork(async ({ ingest, isKept, partial }) => {
    if (!isKept) rmSync(partial, { force: true });
    await ingest[Symbol.asyncDispose]();
  });
  const downloads = new FetchPool([...workerCommand, FETCH], registries.maxDownloads);
  const uploads = new FetchPool([...workerCommand, FETCH], registries.maxUploads);
  const parts = {
    dependencies,
    catalog,
    remote,
    config: registries.remote,
    flights,
    pool: downloads,
  };
  return {
    pull: (name, options) => pullImages(parts, name, options),
    exportRemote: (name, options) => exportRemote(parts, name, options),
    publish: (target, source, options) =>
      publishArchive({ ...parts, pool: uploads }, target, source, options),
    copy: (source, target, options) => copyImage(parts, source, target, options),
    manifest: (name, { credentials, signal, isInsecure }) =>
      remoteManifest(isInsecure ? trusting(parts, name) : parts, name, credentials, signal),
    pushIndex: (target, entries, options) =>
      pushIndex(options.isInsecure ? trusting(parts, target) : parts, target, entries, options),
    login: (credentials, signal) => remote.login(credentials, signal),
    distribution: (name, credentials, signal) =>
      inspectDistribution(remote, name, credentials, signal),
    search: (term, limit, credentials, signal) => remote.search(term, limit, credentials, signal),
    checkTrust: (name, credentials, signal) =>
      checkTrust({ dependencies, remote, catalog }, name, credentials, signal),
    push: (name, options) => pushImages({ ...parts, pool: uploads }, name, options),
    bundles: {
      layers: (positions, format, signal) => bundleLayers(dependencies, positions, format, signal),
      image: (text, format, signal) => bundleImage(dependencies, text, format, signal),
      archive: bundleArchive,
      store: (bundle, references) => storeBundle(dependencies, catalog, bundle, references),
      push: (name, bundle, options) =>
        pushBundle({ ...parts, pool: uploads }, name, bundle, options),
      fetchDocument: (name, credentials, signal) => fetchDocument(parts, name, credentials, signal),
      fetchBlob: (name, blob, credentials, signal) =>
        fetchBlob(parts, name, blob, credentials, signal),
    },
  };
};
