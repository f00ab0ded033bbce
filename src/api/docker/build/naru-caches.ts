/**
 * Caches of `naru build`: at registries, inside the image, in directories of the client. A directory to read comes with
 * the body (`caches/<number>/…`, an OCI layout); one to be written goes back as a tar within the answer's lines.
 */
import { existsSync, readFileSync } from "node:fs";
import { type CacheExport, exportOf } from "#api/docker/buildkit/cache-options.ts";
import type { BuildResult, Builds, CacheSource, ImportedCache } from "#build/build.ts";
import type { BuildContext } from "#build/context.ts";
import { partOfContext } from "#build/context.ts";
import { registryCache } from "#build/registry-cache.ts";
import type { Bundles } from "#image/bundle.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import { type Digest, hexOf, parseDigest } from "#spec/image/digest.ts";
import { parseReference } from "#spec/image/reference.ts";

export interface CacheWish {
  readonly type: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export interface CacheWork {
  readonly builds: Builds;
  readonly bundles: Bundles;
  readonly credentials: ReadonlyMap<string, AuthConfig>;
  readonly signal: AbortSignal;
  /** A line for the user. */
  readonly tell: (text: string) => Promise<void>;
}

const credentialsFor = ({ credentials }: CacheWork, name: string): AuthConfig => {
  const { domain } = parseReference(name);
  return credentials.get(domain) ?? credentials.get(`https://${domain}`) ?? {};
};

/** An OCI layout: nothing of it is followed out of its directory, digests are names without a path. */
const layoutCache = (name: string, { root }: BuildContext): CacheSource => {
  const fileOf = (digest: Digest): string => {
    const path = `${root}/blobs/sha256/${hexOf(parseDigest(digest))}`;
    if (existsSync(path)) return path;
    throw new NaruError("not_found", `cache "${name}" has no blob "${digest}"`);
  };
  const top = (): Digest => {
    const path = `${root}/index.json`;
    if (!existsSync(path)) throw new NaruError("not_found", `"${name}" is no OCI layout`);
    const index = JSON.parse(readFileSync(path, "utf8")) as {
      manifests?: readonly { digest?: string }[];
    };
    return parseDigest(index.manifests?.at(-1)?.digest ?? "");
  };
  return {
    name,
    document: (digest) => {
      const text = readFileSync(fileOf(digest ?? top()), "utf8");
      return Promise.resolve({ text, mediaType: "" });
    },
    blob: ({ digest }) => Promise.resolve(Bun.file(fileOf(digest)).stream()),
  };
};

const sourceOf = (
  work: CacheWork,
  sent: BuildContext,
  { type, attributes }: CacheWish,
  position: number,
): CacheSource => {
  const reference = attributes["ref"] ?? "";
  if (type === "registry" && reference !== "") {
    return registryCache(work.bundles, reference, credentialsFor(work, reference));
  }
  if (type === "local") {
    return layoutCache(attributes["src"] ?? "", partOfContext(sent, `caches/${position}`));
  }
  throw new NaruError(
    "not_implemented",
    `cache import "${type}" is not supported by naru: use registry (with ref=) or local (with src=)`,
  );
};

/** Those that can be read; of the others the user is told. */
export const openWishes = async (
  work: CacheWork,
  sent: BuildContext,
  wishes: readonly CacheWish[],
): Promise<ImportedCache[]> => {
  const sources = wishes.map((wish, position) => sourceOf(work, sent, wish, position));
  const opened: ImportedCache[] = [];
  for (const source of sources) {
    try {
      const cache = await work.builds.openCache(source, work.signal);
      await work.tell(`cache from ${source.name}: ${cache.steps.size} steps`);
      opened.push(cache);
    } catch (error) {
      work.signal.throwIfAborted();
      await work.tell(`cache from ${source.name}: ${toNaruError(error).message}`);
    }
  }
  return opened;
};

/** Throws before any work for what is not understood. */
export const exportsOf = (wishes: readonly CacheWish[]): CacheExport[] =>
  wishes.map(({ type, attributes }) => exportOf({ type, attributes }));

/** With the cache inside where that was asked for; it takes the names over. */
export const withInline = (
  { builds }: Pick<CacheWork, "builds">,
  exports: readonly CacheExport[],
  result: BuildResult,
  tag: (id: Digest, name: string) => void,
): BuildResult => {
  if (!exports.some(({ kind }) => kind === "inline")) return result;
  const inline = builds.inlineCache(result);
  for (const name of result.tags) tag(inline.imageId, name);
  return inline;
};

/** `send` gets the tar of a layout for the client's directory, in pieces. */
export const exportWishes = async (
  work: CacheWork,
  exports: readonly CacheExport[],
  result: BuildResult,
  send: (position: number, data: Uint8Array) => Promise<void>,
): Promise<void> => {
  const { builds, bundles, signal, tell } = work;
  for (const [position, wanted] of exports.entries()) {
    if (wanted.kind === "inline") continue;
    try {
      using cache = await builds.exportCache(result, wanted.options, signal);
      if (wanted.kind === "registry") {
        const name = wanted.reference;
        const credentials = credentialsFor(work, name);
        await bundles.push(name, cache.bundle, { credentials, signal, onEvent: () => undefined });
        await tell(`cache to ${name}: ${cache.bundle.root.digest}`);
      } else {
        using archive = bundles.archive(cache.bundle, [], "oci");
        for await (const data of archive.stream(signal)) await send(position, data);
        await send(position, new Uint8Array());
      }
    } catch (error) {
      if (!wanted.isErrorIgnored || signal.aborted) throw error;
      await tell(`cache: ${toNaruError(error).message}`);
    }
  }
};
