/** One repository: reads go from endpoint to endpoint, writes to the registry itself. See remote.ts. */
import { NaruError, hasCode, toNaruError } from "#lib/errors.ts";
import { scopeOf } from "#remote/auth.ts";
import type { Endpoint } from "#remote/endpoints.ts";
import { type ForeignParts, openForeign } from "#remote/foreign.ts";
import { isListedHost } from "#remote/hosts.ts";
import type { HostClient, RegistryRequest } from "#remote/host.ts";
import { readBounded } from "#remote/read-bounded.ts";
import { readReferrers } from "#remote/referrers.ts";
import type { BlobBody, FetchedManifest, Repository, Upload } from "#remote/remote.ts";
import { beginUpload } from "#remote/upload.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import { parseNextLink, rateLimitText } from "#spec/distribution/answers.ts";
import { isTag } from "#spec/distribution/name.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import { type Digest, algorithmOf, isDigest, parseDigest } from "#spec/image/digest.ts";
import {
  DOCKER_MANIFEST,
  DOCKER_MANIFEST_LIST,
  OCI_INDEX,
  OCI_MANIFEST,
  isUrlLayer,
} from "#spec/image/media-type.ts";
import { type Reference, repositoryOf } from "#spec/image/reference.ts";

export interface Place {
  readonly endpoint: Endpoint;
  readonly client: HostClient;
}

/** The smallest size that every registry must take (distribution-spec 1.1, "Pushing Manifests"). */
const MANIFEST_MAX_BYTES = 4 * 1024 * 1024;
const TAGS_MAX_BYTES = 16 * 1024 * 1024;
const PAGES_MAX = 1000;
/** Schema 1 is asked for so that it can be refused by name. */
const ACCEPT = [
  OCI_INDEX,
  OCI_MANIFEST,
  DOCKER_MANIFEST_LIST,
  DOCKER_MANIFEST,
  "application/vnd.docker.distribution.manifest.v1+prettyjws",
  "application/json",
].join(", ");

const sumOf = (digest: Digest, bytes: Uint8Array): Digest => {
  const algorithm = algorithmOf(digest);
  return parseDigest(`${algorithm}:${new Bun.CryptoHasher(algorithm).update(bytes).digest("hex")}`);
};

const typeOf = (response: Response): string =>
  response.headers.get("content-type")?.split(";")[0]?.trim() ?? "";

type Ask = Pick<RegistryRequest, "method" | "path" | "accepts" | "what" | "signal"> &
  Partial<Pick<RegistryRequest, "headers" | "body" | "attempts">>;

/** A tag goes into paths and names: a list of anything else is not believed. */
const checkTag = (tag: unknown, what: string): string => {
  if (typeof tag === "string" && isTag(tag)) return tag;
  throw new NaruError("invalid_argument", `${what}: ${JSON.stringify(tag)} is no tag`);
};

export class RegistryRepository implements Repository {
  readonly reference: Reference;
  readonly takesForeign: boolean;
  readonly #places: readonly Place[];
  readonly #credentials: AuthConfig;
  readonly #attempts: number;
  readonly #foreign: ForeignParts;
  readonly #failed = new Set<Place>();

  constructor(
    reference: Reference,
    places: readonly Place[],
    credentials: AuthConfig,
    foreign: ForeignParts,
  ) {
    this.reference = reference;
    this.takesForeign = isListedHost(reference.domain, foreign.config.nondistributable);
    this.#places = places;
    this.#credentials = credentials;
    this.#attempts = foreign.config.maxAttempts;
    this.#foreign = foreign;
  }

  async resolve(tagOrDigest: string, signal: AbortSignal): Promise<Descriptor | undefined> {
    const what = `manifest "${tagOrDigest}"`;
    try {
      return await this.#read(async (place) => {
        const path = `/manifests/${tagOrDigest}`;
        const ask = {
          method: "HEAD",
          path,
          what,
          signal,
          accepts: [200],
          headers: { Accept: ACCEPT },
        };
        const { headers } = await this.#ask(place, ask as Ask);
        const digest = headers.get("docker-content-digest") ?? "";
        const size = Number(headers.get("content-length") ?? 0);
        if (!isDigest(digest)) return undefined;
        return { mediaType: headers.get("content-type") ?? "", digest, size };
      });
    } catch (error) {
      // A HEAD has no body to explain itself in: the GET that follows says why.
      const { registryStatus } = toNaruError(error).details;
      if (typeof registryStatus === "number") return undefined;
      throw error;
    }
  }

  async manifest(tagOrDigest: string, signal: AbortSignal): Promise<FetchedManifest> {
    const what = `manifest "${tagOrDigest}"`;
    return await this.#read(async (place) => {
      const path = `/manifests/${tagOrDigest}`;
      const headers = { Accept: ACCEPT };
      const response = await this.#ask(place, {
        method: "GET",
        path,
        what,
        signal,
        accepts: [200],
        headers,
      });
      const bytes = await readBounded(response, MANIFEST_MAX_BYTES, what);
      const told = response.headers.get("docker-content-digest") ?? "";
      const expected = isDigest(tagOrDigest) ? tagOrDigest : isDigest(told) ? told : undefined;
      const digest = sumOf(expected ?? ("sha256:" as Digest), bytes);
      if (expected !== undefined && expected !== digest) {
        throw new NaruError(
          "data_loss",
          `manifest verification failed for digest ${expected}: "${place.endpoint.host}" sent ${digest}`,
        );
      }
      return {
        descriptor: { mediaType: typeOf(response), digest, size: bytes.length },
        text: new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes),
        rateLimit: rateLimitText(
          response.headers.get("ratelimit-limit"),
          response.headers.get("ratelimit-remaining"),
        ),
      };
    });
  }

  async openBlob(blob: Descriptor, offset: number, signal: AbortSignal): Promise<BlobBody> {
    try {
      return await this.#openOwn(blob, offset, signal);
    } catch (error) {
      if (!isUrlLayer(blob) || !hasCode(error, "not_found")) throw error;
      return await openForeign(this.#foreign, blob, offset, signal);
    }
  }

  async #openOwn(blob: Descriptor, offset: number, signal: AbortSignal): Promise<BlobBody> {
    const what = `blob "${blob.digest}"`;
    return await this.#read(async (place) => {
      const response = await this.#ask(place, {
        method: "GET",
        path: `/blobs/${blob.digest}`,
        what,
        signal,
        accepts: [200, 206],
        headers: offset === 0 ? {} : { Range: `bytes=${offset}-` },
        attempts: 1, // whoever reads it starts again from where it was cut
      });
      const { body, headers, status } = response;
      const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get("content-range") ?? "");
      const from = status === 206 ? Number(range?.[1] ?? offset) : 0;
      const length = headers.get("content-length");
      if (from > offset || (length !== null && from + Number(length) !== blob.size)) {
        await body?.cancel();
        throw new NaruError(
          "data_loss",
          `${what}: "${place.endpoint.host}" has ${from + Number(length ?? 0)} bytes, expected ${blob.size}`,
        );
      }
      return {
        stream: body ?? new Response("").body ?? new ReadableStream(),
        offset: from,
        passOver: () => {
          if (place !== this.#home) this.#failed.add(place);
          return place !== this.#home;
        },
      };
    });
  }

  async blobText(blob: Descriptor, maxBytes: number, signal: AbortSignal): Promise<string> {
    const what = `blob "${blob.digest}"`;
    if (blob.size > maxBytes) {
      throw new NaruError(
        "resource_exhausted",
        `${what} has ${blob.size} bytes, ${maxBytes} are allowed`,
      );
    }
    return await this.#read(async (place) => {
      const path = `/blobs/${blob.digest}`;
      const response = await this.#ask(place, {
        method: "GET",
        path,
        what,
        signal,
        accepts: [200],
      });
      const bytes = await readBounded(response, blob.size, what);
      if (bytes.length !== blob.size || sumOf(blob.digest, bytes) !== blob.digest) {
        throw new NaruError("data_loss", `${what}: "${place.endpoint.host}" sent other content`);
      }
      return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
    });
  }

  async tags(signal: AbortSignal): Promise<string[]> {
    return await this.#read(async (place) => {
      const tags: string[] = [];
      let path: string | URL = "/tags/list";
      for (let page = 0; page < PAGES_MAX; page += 1) {
        const what = `tags of "${repositoryOf(this.reference)}"`;
        const response = await this.#ask(place, {
          method: "GET",
          path,
          what,
          signal,
          accepts: [200],
        });
        const bytes = await readBounded(response, TAGS_MAX_BYTES, what);
        const list = (JSON.parse(Buffer.from(bytes).toString("utf8")) as { tags?: unknown }).tags;
        if (Array.isArray(list)) tags.push(...list.map((tag) => checkTag(tag, what)));
        const next = parseNextLink(response.headers.get("link"));
        if (next === undefined) return tags;
        path = this.#onward(response, next);
      }
      throw new NaruError("resource_exhausted", "the list of tags has no end");
    });
  }

  async referrers(digest: Digest, signal: AbortSignal): Promise<readonly Descriptor[]> {
    return await this.#read(async (place) => {
      const found = await readReferrers(
        (path, accepts) =>
          this.#ask(place, {
            method: "GET",
            path,
            what: `referrers of "${digest}"`,
            signal,
            accepts,
            headers: { Accept: OCI_INDEX },
          }),
        (response, link) => this.#onward(response, link),
        digest,
      );
      if (found.length > 0 || !place.endpoint.isMirror) return found;
      // A mirror need not know what was attached to an image later.
      throw new NaruError("not_found", `"${place.endpoint.host}" has no referrers of ${digest}`);
    });
  }

  hasBlob(digest: Digest, signal: AbortSignal): Promise<boolean> {
    return this.#has(`/blobs/${digest}`, signal);
  }

  hasManifest(digest: Digest, signal: AbortSignal): Promise<boolean> {
    return this.#has(`/manifests/${digest}`, signal);
  }

  async #has(path: string, signal: AbortSignal): Promise<boolean> {
    const headers = { Accept: ACCEPT };
    const what = `"${path}"`;
    const ask = { method: "HEAD", path, what, signal, accepts: [200, 404], headers } as const;
    const response = await this.#ask(this.#home, ask, "pull,push");
    return response.status === 200;
  }

  async upload(
    options: { readonly mount?: { readonly digest: Digest; readonly from: string } },
    signal: AbortSignal,
  ): Promise<Upload | undefined> {
    const { mount } = options;
    const scopes = [
      scopeOf(this.#home.endpoint.repository, "pull", "push"),
      ...(mount === undefined ? [] : [scopeOf(mount.from, "pull")]),
    ];
    const query =
      mount === undefined
        ? ""
        : `?${new URLSearchParams({ mount: mount.digest, from: mount.from }).toString()}`;
    const request = {
      credentials: this.#credentials,
      scopes,
      attempts: this.#attempts,
    };
    const path = `${this.#prefix(this.#home)}/blobs/uploads/${query}`;
    return await beginUpload(this.#home.client, path, request, signal);
  }

  async putManifest(
    tagOrDigest: string,
    mediaType: string,
    text: string,
    signal: AbortSignal,
  ): Promise<Digest> {
    const response = await this.#ask(
      this.#home,
      {
        method: "PUT",
        path: `/manifests/${tagOrDigest}`,
        what: `manifest "${tagOrDigest}"`,
        headers: { "Content-Type": mediaType },
        body: () => text,
        accepts: [200, 201, 202],
        signal,
      },
      "pull,push",
    );
    await response.body?.cancel();
    const digest = sumOf("sha256:" as Digest, Buffer.from(text));
    const told = response.headers.get("docker-content-digest");
    if (told !== null && isDigest(told) && algorithmOf(told) === "sha256" && told !== digest) {
      throw new NaruError("data_loss", `the registry took manifest ${digest} for ${told}`);
    }
    return digest;
  }

  get #home(): Place {
    const home = this.#places.at(-1);
    if (home === undefined) throw new NaruError("internal", "a repository without a place");
    return home;
  }

  #prefix({ endpoint }: Place): string {
    return `/v2/${endpoint.repository}`;
  }

  #onward(response: Response, link: string): URL {
    const here = new URL(response.url);
    const next = new URL(link, here);
    if (next.origin === here.origin) return next;
    throw new NaruError("unavailable", `"${here.origin}" continues its list at "${next.origin}"`);
  }

  #ask(place: Place, ask: Ask, actions = "pull"): Promise<Response> {
    const { path } = ask;
    return place.client.request({
      attempts: this.#attempts,
      ...ask,
      path: typeof path === "string" ? this.#prefix(place) + path : path,
      scopes: [scopeOf(place.endpoint.repository, actions)],
      credentials: place.endpoint.isMirror ? {} : this.#credentials,
    });
  }

  /** Mirrors may fail as they like; the registry's failure is the answer. */
  async #read<T>(work: (place: Place) => Promise<T>): Promise<T> {
    const home = this.#home;
    for (const place of this.#places) {
      if (place === home || this.#failed.has(place)) continue;
      try {
        return await work(place);
      } catch (error) {
        if (hasCode(error, "canceled") || !(error instanceof NaruError)) throw error;
        this.#failed.add(place);
      }
    }
    return await work(home);
  }
}
