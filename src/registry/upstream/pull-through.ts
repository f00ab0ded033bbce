/**
 * A registry that fetches what it does not have: repositories under a prefix stand for those of a registry
 * elsewhere, any number of them side by side. What came is kept like what was pushed. A tag is looked up again
 * after a while; when the upstream cannot be reached, what is here is served. Nothing can be pushed there.
 */
import { monotonicMs, now } from "#lib/clock.ts";
import { type NaruError, hasCode, toNaruError } from "#lib/errors.ts";
import type { LocalDependencies } from "#registry/local.ts";
import { SingleFlight } from "#lib/single-flight.ts";
import { adoptManifest, forgetTag } from "#registry/manifests.ts";
import type { Blob, Manifest, Page, PageQuery, Registry, Uploads } from "#registry/registry.ts";
import { Downloads } from "#registry/upstream/downloads.ts";
import { makeRoom } from "#registry/upstream/room.ts";
import { UpstreamReferrers } from "#registry/upstream/referrers.ts";
import type { Remote, Repository } from "#remote/remote.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import { distributionError } from "#spec/distribution/errors.ts";
import { readManifestDocument } from "#spec/distribution/manifest-document.ts";
import {
  parseDigestParameter,
  parseManifestReference,
  parseRepositoryName,
} from "#spec/distribution/name.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import { parseReference } from "#spec/image/reference.ts";

export interface UpstreamConfig {
  /** "hub": hub/library/alpine stands for docker.io/library/alpine. "": what no other prefix has. */
  readonly prefix: string;
  /** "docker.io", "ghcr.io", "localhost:5001". */
  readonly registry: string;
  readonly credentials: AuthConfig;
  readonly tagTtlMs: number;
}

const MANIFEST_TIMEOUT_MS = 60_000;
/** For what is here already nobody waits long: it is served when the upstream says nothing by then. */
const LOOK_UP_TIMEOUT_MS = 5_000;
/** An upstream that said nothing is not asked about what is here for so long. */
const AWAY_MS = 10_000;
const USED_MS = 3_600_000;
const FRESH_LIMIT = 100_000;

interface Found {
  readonly upstream: UpstreamConfig;
  readonly repository: string;
  /** A new one each time: it remembers which places failed. */
  readonly open: () => Repository;
}

/** What the client of a mirror is told of its upstream's failure. */
const explained = (
  { upstream }: Found,
  thrown: unknown,
  unknown: (message: string) => NaruError,
): NaruError => {
  const error = toNaruError(thrown);
  const message = `upstream "${upstream.registry}": ${error.message}`;
  if (error.details["distribution"] !== undefined) return error;
  if (error.code === "not_found") return unknown(message);
  if (error.code === "unauthenticated" || error.code === "permission_denied") {
    return distributionError("DENIED", message, { cause: error });
  }
  if (error.code === "resource_exhausted") {
    const details = { retryAfterSeconds: 60 };
    return distributionError("TOOMANYREQUESTS", message, { cause: error, details });
  }
  return distributionError("UNSUPPORTED", message, { cause: error, status: 502 });
};

export class PullThrough implements Registry {
  readonly #local: Registry;
  readonly #deps: LocalDependencies;
  readonly #upstreams: readonly UpstreamConfig[];
  readonly #remote: Remote;
  readonly #downloads: Downloads;
  readonly #referrers: UpstreamReferrers;
  /** When a tag was last looked up. */
  readonly #checkedAtMs = new Map<string, number>();
  /** By registry: until when it counts as away. */
  readonly #awayUntilMs = new Map<string, number>();
  readonly #lookUps = new SingleFlight<Manifest>();

  constructor(
    local: Registry,
    deps: LocalDependencies,
    upstreams: readonly UpstreamConfig[],
    remote: Remote,
  ) {
    this.#local = local;
    this.#deps = deps;
    this.#remote = remote;
    const isMirrored = (repository: string): boolean => this.#find(repository) !== undefined;
    deps.quotas.evictWith((shortage) => makeRoom(deps, shortage, isMirrored));
    this.#downloads = new Downloads(deps);
    this.#referrers = new UpstreamReferrers(deps);
    // The longest prefix wins.
    this.#upstreams = upstreams.toSorted((a, b) => b.prefix.length - a.prefix.length);
  }

  #find(repository: string): Found | undefined {
    const upstream = this.#upstreams.find(
      ({ prefix }) => prefix === "" || repository.startsWith(`${prefix}/`),
    );
    if (upstream === undefined) return undefined;
    const { prefix, registry, credentials } = upstream;
    const path = prefix === "" ? repository : repository.slice(prefix.length + 1);
    const open = (): Repository =>
      this.#remote.repository(parseReference(`${registry}/${path}`), credentials);
    return { upstream, repository, open };
  }

  #refuseWrites(repository: string): void {
    const found = this.#find(parseRepositoryName(repository));
    if (found === undefined) return;
    throw distributionError(
      "DENIED",
      `"${repository}" stands for a repository of "${found.upstream.registry}": push it there`,
    );
  }

  get uploads(): Uploads | undefined {
    const uploads = this.#local.uploads;
    if (uploads === undefined) return undefined;
    return {
      start: (repository, algorithm) => {
        this.#refuseWrites(repository);
        return uploads.start(repository, algorithm);
      },
      whole: (repository, digest, chunk) => {
        this.#refuseWrites(repository);
        return uploads.whole(repository, digest, chunk);
      },
      status: (repository, id) => uploads.status(repository, id),
      append: (repository, id, chunk) => uploads.append(repository, id, chunk),
      finish: (repository, id, digest, chunk) => uploads.finish(repository, id, digest, chunk),
      cancel: (repository, id) => uploads.cancel(repository, id),
      count: uploads.count,
    };
  }

  repositoryFor(namespace: string, name: string): string | undefined {
    const upstream = this.#upstreams.find(({ registry }) => registry === namespace);
    if (upstream === undefined) return undefined;
    return upstream.prefix === "" ? name : `${upstream.prefix}/${name}`;
  }

  #localManifest(repository: string, reference: string): Manifest | undefined {
    try {
      const found = this.#local.manifest(repository, reference);
      return found instanceof Promise ? undefined : found;
    } catch (error) {
      if (hasCode(error, "not_found")) return undefined;
      throw error;
    }
  }

  manifest(repository: string, reference: string): Manifest | Promise<Manifest> {
    const found = this.#find(parseRepositoryName(repository));
    if (found === undefined) return this.#local.manifest(repository, reference);
    const parsed = parseManifestReference(reference);
    const here = this.#localManifest(repository, reference);
    if (here !== undefined && (parsed.kind === "digest" || this.#isFresh(found, reference))) {
      return here;
    }
    const key = `${repository} ${reference}`;
    return this.#lookUps
      .run(key, () => this.#fetchManifest(found, reference, here))
      .catch((error: unknown) => {
        throw explained(found, error, (message) => distributionError("MANIFEST_UNKNOWN", message));
      });
  }

  #isFresh({ upstream, repository }: Found, tag: string): boolean {
    if ((this.#awayUntilMs.get(upstream.registry) ?? 0) > monotonicMs()) return true;
    const at = this.#checkedAtMs.get(`${repository}:${tag}`);
    return at !== undefined && monotonicMs() - at < upstream.tagTtlMs;
  }

  #checked({ repository }: Found, tag: string): void {
    if (this.#checkedAtMs.size >= FRESH_LIMIT) this.#checkedAtMs.clear();
    this.#checkedAtMs.set(`${repository}:${tag}`, monotonicMs());
  }

  async #fetchManifest(
    found: Found,
    reference: string,
    here: Manifest | undefined,
  ): Promise<Manifest> {
    const signal = AbortSignal.timeout(
      here === undefined ? MANIFEST_TIMEOUT_MS : LOOK_UP_TIMEOUT_MS,
    );
    const upstream = found.open();
    try {
      const head = here === undefined ? undefined : await upstream.resolve(reference, signal);
      if (here !== undefined && head?.digest === here.digest) {
        this.#checked(found, reference);
        return here;
      }
      const { descriptor, text } = await upstream.manifest(reference, signal);
      return this.#adopt(found, reference, descriptor, text);
    } catch (error) {
      if (here === undefined) throw error;
      if (hasCode(error, "not_found")) {
        // It must not come back when the upstream is away.
        forgetTag(this.#deps, found.repository, reference);
        throw error;
      }
      this.#awayUntilMs.set(found.upstream.registry, monotonicMs() + AWAY_MS);
      this.#deps.log.warn("the upstream does not answer: served what was here", {
        repository: found.repository,
        reference,
        error,
      });
      return here;
    }
  }

  #adopt(found: Found, reference: string, descriptor: Descriptor, text: string): Manifest {
    const { digest, mediaType } = descriptor;
    const content = new TextEncoder().encode(text);
    if (digest.startsWith("sha256:") && digestOf(content) !== digest) {
      throw distributionError("MANIFEST_INVALID", `manifest ${digest} is not UTF-8`);
    }
    const isTag = !reference.includes(":");
    const tag = isTag ? reference : undefined;
    adoptManifest(this.#deps, found.repository, { digest, mediaType, content }, tag);
    if (isTag) this.#checked(found, reference);
    return this.#localManifest(found.repository, reference) ?? { digest, mediaType, content };
  }

  blob(repository: string, digest: string): Blob | Promise<Blob> {
    const found = this.#find(parseRepositoryName(repository));
    const wanted = parseDigestParameter(digest);
    if (found === undefined) return this.#local.blob(repository, digest);
    try {
      this.#used(repository, wanted);
      return this.#local.blob(repository, digest);
    } catch (error) {
      const descriptor = hasCode(error, "not_found") ? this.#needed(repository, wanted) : undefined;
      if (descriptor === undefined) throw error;
      return this.#downloads.blob(repository, found.open, descriptor).catch((failure: unknown) => {
        throw explained(found, failure, (message) => distributionError("BLOB_UNKNOWN", message));
      });
    }
  }

  /** Under a quota those go first that were used longest ago: to the hour, which spares the disk. */
  #used(repository: string, digest: Digest): void {
    const { rows, rules, sightings } = this.#deps;
    if (sightings.isRecent(repository, digest, USED_MS)) return;
    const id = rows.repositories.idOf(repository);
    if (id !== undefined && rules.quotasOf(repository).length > 0) {
      rows.blobs.touch(id, digest, now());
    }
  }

  /** Only what a manifest of the repository speaks of is fetched: that tells how large it is, too. */
  #needed(repository: string, digest: Digest): Descriptor | undefined {
    const { rows } = this.#deps;
    const id = rows.repositories.idOf(repository);
    const row = id === undefined ? undefined : rows.manifests.needing(id, digest);
    if (row === undefined) return undefined;
    const text = Buffer.from(row.content).toString("utf8");
    const { blobs } = readManifestDocument(text, row.mediaType);
    return blobs.find((blob) => blob.digest === digest);
  }

  tags(repository: string, query: PageQuery): Page<string> | Promise<Page<string>> {
    const found = this.#find(parseRepositoryName(repository));
    return found === undefined
      ? this.#local.tags(repository, query)
      : this.#upstreamTags(found, query);
  }

  async #upstreamTags(found: Found, query: PageQuery): Promise<Page<string>> {
    let all: readonly string[];
    try {
      all = await found.open().tags(AbortSignal.timeout(MANIFEST_TIMEOUT_MS));
    } catch (error) {
      const failure = explained(found, error, (message) =>
        distributionError("NAME_UNKNOWN", message),
      );
      const isHere = this.#deps.rows.repositories.idOf(found.repository) !== undefined;
      if (hasCode(error, "not_found") || !isHere) throw failure;
      const { repository } = found;
      this.#deps.log.warn("the upstream does not answer: listed the tags that are here", {
        repository,
        error,
      });
      return await this.#local.tags(repository, query);
    }
    const { maxPage } = this.#deps.limits;
    const limit = Math.min(query.limit ?? maxPage, maxPage);
    const rest = all.toSorted().filter((tag) => tag > (query.last ?? ""));
    const items = rest.slice(0, limit);
    return { items, next: limit > 0 && rest.length > limit ? items.at(-1) : undefined };
  }

  referrers: Registry["referrers"] = (repository, digest, query) => {
    const found = this.#find(parseRepositoryName(repository));
    if (found === undefined) return this.#local.referrers(repository, digest, query);
    const subject = parseDigestParameter(digest);
    return this.#referrers.list(found, subject, query, () =>
      this.#local.referrers(repository, digest, query),
    );
  };

  putManifest: Registry["putManifest"] = (repository, manifest) => {
    this.#refuseWrites(repository);
    return this.#local.putManifest(repository, manifest);
  };

  mount: Registry["mount"] = (repository, source) => {
    this.#refuseWrites(repository);
    return this.#local.mount(repository, source);
  };

  repositories: Registry["repositories"] = (query) => this.#local.repositories(query);
  deleteManifest: Registry["deleteManifest"] = (...given) => this.#local.deleteManifest(...given);
  deleteBlob: Registry["deleteBlob"] = (...given) => this.#local.deleteBlob(...given);
  totals: Registry["totals"] = () => this.#local.totals();
  collect: Registry["collect"] = (options) => this.#local.collect(options);
  retain: Registry["retain"] = (options) => this.#local.retain(options);
  close: Registry["close"] = () => this.#local.close();
}
