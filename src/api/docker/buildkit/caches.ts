/** Caches of elsewhere, as vertices of their own: opened before a build, written after it. */
import type { Attributes } from "#api/docker/buildkit/attributes.ts";
import {
  type CacheEntry,
  type CacheExport,
  type CacheImport,
  importOf,
  importsIn,
} from "#api/docker/buildkit/cache-options.ts";
import { ContentStore } from "#api/docker/buildkit/content-store.ts";
import { pushBundle } from "#api/docker/buildkit/push-bundle.ts";
import { credentialsOf } from "#api/docker/buildkit/session-services.ts";
import type { SolveContext } from "#api/docker/buildkit/solve.ts";
import { ShownVertex } from "#api/docker/buildkit/vertices.ts";
import type { BuildResult, CacheSource, ImportedCache } from "#build/build.ts";
import { NaruError } from "#lib/errors.ts";
import { registryCache } from "#build/registry-cache.ts";

const localCache = (
  { session }: SolveContext,
  { directory, digest }: Extract<CacheImport, { kind: "local" }>,
): CacheSource => {
  if (session === undefined) {
    throw new NaruError("invalid_argument", "a local cache needs a session to come from");
  }
  const store = new ContentStore(session, `local:${directory}`);
  return {
    name: directory,
    document: async (child, signal) => {
      const wanted = { digest: child ?? digest, size: 0, mediaType: "" };
      return { text: await new Response(store.read(wanted, signal)).text(), mediaType: "" };
    },
    blob: (blob, signal) => Promise.resolve(store.read(blob, signal)),
  };
};

const sourceOf = async (context: SolveContext, entry: CacheEntry): Promise<CacheSource> => {
  const wanted = importOf(entry);
  if (wanted.kind === "local") return localCache(context, wanted);
  const { backend, session, signal } = context;
  const { reference } = wanted;
  const [credentials = {}] = (await credentialsOf(session, [reference], signal)).values();
  return registryCache(await backend.images.bundles(), reference, credentials);
};

/**
 * Those that can be read. One that can not, or is of a kind that is not known here, is told of and spares no work:
 * that is no reason to fail.
 */
export const openCaches = async (
  context: SolveContext,
  attributes: Attributes,
): Promise<ImportedCache[]> => {
  const { backend, job, signal } = context;
  const wanted = importsIn(attributes);
  if (wanted.length === 0) return [];
  const builds = await backend.builds();
  const opened = wanted.map(async (one) => {
    const { ref, digest } = one.attributes;
    const name = one.type === "registry" && ref !== undefined ? ref : `${one.type}:${digest ?? ""}`;
    const vertex = new ShownVertex(job.log, job.ref, `importing cache manifest from ${name}`);
    try {
      return await vertex.around(async () => {
        const source = await sourceOf(context, one);
        const cache = await builds.openCache(source, signal);
        const { records, steps } = cache;
        if (records > 0 && steps.size === 0) {
          const text = `${records} records of another builder: none of them says anything to naru\n`;
          await vertex.output(2, Buffer.from(text));
        }
        return cache;
      });
    } catch (error) {
      if (signal.aborted) throw error;
      return undefined;
    }
  });
  return (await Promise.all(opened)).filter((cache) => cache !== undefined);
};

const exportOne = async (
  context: SolveContext,
  wanted: Exclude<CacheExport, { kind: "inline" }>,
  result: BuildResult,
): Promise<Record<string, string>> => {
  const { backend, job, session, signal } = context;
  const builds = await backend.builds();
  const where = wanted.kind === "registry" ? "registry" : "client directory";
  const vertex = new ShownVertex(job.log, job.ref, `exporting cache to ${where}`);
  return await vertex.around(async () => {
    await vertex.status("preparing build cache for export", 0, 0, true);
    using cache = await builds.exportCache(result, wanted.options, signal);
    const { bundle } = cache;
    if (wanted.kind === "registry") {
      await pushBundle(context, vertex, wanted.reference, bundle);
    } else {
      if (session === undefined) throw new NaruError("invalid_argument", "no session to write to");
      const store = new ContentStore(session, `local:${wanted.directory}`);
      await store.writeBundle(bundle, signal);
    }
    await vertex.status(`writing cache manifest ${bundle.root.digest}`, 0, 0, true);
    return { "cache.manifest": JSON.stringify(bundle.root) };
  });
};

/** What it tells the client, which writes the index of a directory itself. */
export const exportCaches = async (
  context: SolveContext,
  exports: readonly CacheExport[],
  result: BuildResult,
): Promise<Record<string, string>> => {
  const response: Record<string, string> = {};
  for (const wanted of exports) {
    if (wanted.kind === "inline") continue;
    try {
      Object.assign(response, await exportOne(context, wanted, result));
    } catch (error) {
      if (!wanted.isErrorIgnored || context.signal.aborted) throw error;
    }
  }
  return response;
};
