/** The room's front door: the functions of image.ts over one set of dependencies. */
import { admitAgain, admitUse } from "#image/admit.ts";
import { bootstrapImage } from "#image/bootstrap.ts";
import { createCatalog, parseTagTarget } from "#image/catalog.ts";
import { collect } from "#image/collect.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { createHello, isHello } from "#image/hello.ts";
import type { CheckOptions, Images } from "#image/image.ts";
import { createFromLayer } from "#image/commit.ts";
import { createIndex, manifestOfImage } from "#image/create-index.ts";
import { importImage } from "#image/import.ts";
import { imageHistory, imageUsage, inspectImage, listImages } from "#image/list.ts";
import { loadImages } from "#image/load.ts";
import { pruneImages } from "#image/prune.ts";
import { registerImage, setReference } from "#image/register.ts";
import { removedImages } from "#image/removed.ts";
import { restoreImages } from "#image/restore.ts";
import { removeImage } from "#image/remove.ts";
import { saveImages } from "#image/save.ts";
import { serveIndex } from "#image/served-index.ts";
import { serveImage } from "#image/served.ts";
import { reportTrust } from "#image/trust-report.ts";
import type { ImageTransfers } from "#image/transfer.ts";
import type { Transfers } from "#image/transfers.ts";
import { newBatch } from "#metadata/trash.ts";
import { SingleFlight } from "#lib/single-flight.ts";
import type { Digest } from "#spec/image/digest.ts";
import { familiarString } from "#spec/image/reference.ts";

/** What speaks to registries; its code is loaded when somebody first does. */
const registrySide = (registries: () => Promise<Transfers>): ImageTransfers => ({
  pull: async (name, options) => (await registries()).pull(name, options),
  push: async (name, options) => (await registries()).push(name, options),
  exportRemote: async (name, options) => (await registries()).exportRemote(name, options),
  publish: async (target, source, options) => (await registries()).publish(target, source, options),
  copy: async (source, target, options) => (await registries()).copy(source, target, options),
  manifest: async (name, options) => (await registries()).manifest(name, options),
  pushIndex: async (target, entries, options) =>
    (await registries()).pushIndex(target, entries, options),
  login: async (credentials, signal) => (await registries()).login(credentials, signal),
  distribution: async (name, credentials, signal) =>
    (await registries()).distribution(name, credentials, signal),
  search: async (term, limit, credentials, signal) =>
    (await registries()).search(term, limit, credentials, signal),
  checkTrust: async (name, credentials, signal) =>
    (await registries()).checkTrust(name, credentials, signal),
});

export const createImages = (dependencies: ImageDependencies): Images => {
  const catalog = createCatalog(dependencies);
  const making = new SingleFlight<Digest>();
  let transfers: Promise<Transfers> | undefined;
  // Loaded when somebody first speaks to a registry: a start pays nothing for it.
  const registries = (): Promise<Transfers> =>
    (transfers ??= import("#image/transfers.ts").then((module) =>
      module.createTransfers(dependencies, catalog),
    ));
  return {
    resolve: (name) => catalog.resolve(name),
    find: (name, platform) => catalog.find(name, platform),
    get: (name, platform) => catalog.get(name, platform),
    list: (options) => listImages(dependencies, catalog, options),
    inspect: (name, options) => inspectImage(dependencies, catalog, name, options),
    history: (name, platform) => imageHistory(dependencies, catalog, name, platform),
    tag: (name, target, options) => {
      const reference = parseTagTarget(target);
      const source = catalog.named(name);
      const index = options?.isAlone === true ? undefined : source.target;
      setReference(dependencies, reference, source.id, index);
      return familiarString(reference);
    },
    remove: (name, options) =>
      removeImage(dependencies, catalog, name, { batch: newBatch(), ...options }),
    removed: removedImages(dependencies, catalog),
    prune: (filters, signal, options) =>
      pruneImages(dependencies, catalog, filters, signal, options),
    usage: () => imageUsage(dependencies, catalog),
    load: (source, options) => loadImages(dependencies, catalog, source, options),
    save: (names, signal, platform) => saveImages(dependencies, catalog, names, signal, platform),
    served: (name, signal, manifest) => serveImage(dependencies, catalog, name, signal, manifest),
    servedIndex: (name, signal) => serveIndex(dependencies, catalog, name, signal),
    ...registrySide(registries),
    bundles: async () => (await registries()).bundles,
    admit: (typed, image) => admitUse(dependencies.trust, typed, image),
    admitAgain: (typed, imageId) =>
      admitAgain(dependencies.trust, typed, imageId, catalog.find(imageId)),
    trustPolicy: () => reportTrust(dependencies.trust),
    fetchRoot: async (source, signal) => {
      const { fetchRoot } = await import("#image/import-url.ts");
      return await fetchRoot(source, dependencies.registries.remote.proxy, signal);
    },
    import: (source, options) => importImage(dependencies, source, options),
    createFromLayer: (request) => createFromLayer(dependencies, catalog, request),
    provide: (name) =>
      isHello(name) ? making.run("hello", () => createHello(dependencies)) : undefined,
    bootstrap: (target, options) => bootstrapImage(dependencies, target, options),
    manifestOf: (name, signal) => manifestOfImage(dependencies, catalog, name, signal),
    createIndex: (request, signal) => createIndex(dependencies, catalog, request, signal),
    register: (image, references) => registerImage(dependencies, image, references),
    collect: () => collect(dependencies, catalog),
    async *check(options) {
      const { checkImages } = await import("#image/check.ts");
      const pull: CheckOptions["pull"] = async (name, platform, more = {}) => {
        const transfers = await registries();
        const signal = options.signal ?? new AbortController().signal;
        const quiet = { credentials: {}, onEvent: () => undefined, isAllTags: false };
        const wish = platform === undefined ? {} : { platform };
        await transfers.pull(name, { ...quiet, ...wish, ...more, signal });
      };
      yield* checkImages(dependencies, catalog, { ...options, pull });
    },
    restore: () => restoreImages(dependencies, catalog),
  };
};
