/** A registry for tests, on loopback, that fails as it is told. */
import type { Descriptor } from "#spec/image/descriptor.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import { OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST } from "#spec/image/media-type.ts";
import type { RemoteConfig } from "#remote/remote.ts";

export interface FakeFaults {
  /** Bytes of a blob's answer before the connection is cut, one entry for each answer. */
  cuts: number[];
  /** Statuses in place of the next answers, with Retry-After where given. */
  refusals: { status: number; retryAfter?: string; path?: RegExp }[];
  hasRanges: boolean;
  /** What blobs say instead of their content. */
  otherContent: Uint8Array | undefined;
  /** Blobs are to be had at this URL. */
  redirect: string | undefined;
  basic: string | undefined;
  /** The realm; tokens are good for so many requests. */
  tokens: { realm: string; uses: number } | undefined;
  /** What manifests say of the rate limit: "100;w=21600", "76;w=21600". */
  rateLimit: { limit: string; remaining: string } | undefined;
  /** A blob whose bytes stop coming; `onGone` when its client has left. */
  stall:
    | {
        readonly digest: string;
        readonly afterBytes: number;
        readonly onGone: () => void;
      }
    | undefined;
}

export interface FakeRegistry extends Disposable {
  /** "localhost:12345". */
  readonly host: string;
  readonly url: string;
  readonly faults: FakeFaults;
  readonly blobs: Map<string, Uint8Array>;
  readonly manifests: Map<string, { text: string; type: string }>;
  /** Indexes by the digest that they are about; undefined: a registry without the referrers API. */
  referrers: Map<string, string> | undefined;
  /** "GET /v2/… Bearer x" for each request. */
  readonly log: string[];
  /** Range of each request for a blob that had one. */
  readonly ranges: string[];
  /** Each request for a token: its query and Authorization. */
  readonly tokenLog: string[];
  addImage(
    name: string,
    layers: readonly { tar: Uint8Array; blob: Uint8Array }[],
    more?: object,
  ): Digest;
  /** Of manifests that are there. */
  addIndex(name: string, entries: readonly FakeEntry[]): Digest;
  /** A manifest whose config and layers are these blobs, whatever they are. */
  addArtifact(name: string, blobs: readonly string[], more?: object): Digest;
}

export interface FakeEntry {
  readonly digest: Digest;
  readonly platform: object;
  readonly annotations?: object;
}

export const TEST_CONFIG: RemoteConfig = {
  mirrors: [],
  insecure: [],
  nondistributable: [],
  rules: {},
  certificateDirectories: [],
  proxy: { http: "", https: "", none: "" },
  maxAttempts: 3,
};

const fault = (status: number, code: string, headers: Record<string, string> = {}): Response =>
  Response.json({ errors: [{ code, message: code.toLowerCase() }] }, { status, headers });

/** Some of the bytes, and then the end of the answer. */
const cutOff = (
  bytes: Uint8Array,
  after: number,
  init: { status: number; headers: Record<string, string> },
): Response =>
  new Response(
    new ReadableStream({
      start: async (controller) => {
        if (after > 0) controller.enqueue(bytes.slice(0, after));
        await Bun.sleep(5);
        controller.close();
      },
    }),
    init,
  );

/** The bytes, and then nothing for ever. */
const stalled = (bytes: Uint8Array): Response =>
  new Response(
    new ReadableStream({
      start: (controller) => controller.enqueue(bytes),
      pull: () => new Promise<void>(() => undefined),
    }),
  );

class Fake {
  readonly blobs = new Map<string, Uint8Array>();
  readonly manifests = new Map<string, { text: string; type: string }>();
  referrers: Map<string, string> | undefined;
  readonly log: string[] = [];
  readonly tokenLog: string[] = [];
  readonly ranges: string[] = [];
  readonly uploads = new Map<string, Uint8Array[]>();
  #tokenUses = 0;
  #tokenCount = 0;
  readonly faults: FakeFaults = {
    cuts: [],
    refusals: [],
    hasRanges: true,
    otherContent: undefined,
    redirect: undefined,
    basic: undefined,
    tokens: undefined,
    rateLimit: undefined,
    stall: undefined,
  };

  #challenge(authorization: string): Response | undefined {
    const { basic, tokens } = this.faults;
    if (basic !== undefined && authorization !== `Basic ${btoa(basic)}`) {
      return fault(401, "UNAUTHORIZED", { "WWW-Authenticate": 'Basic realm="fake"' });
    }
    if (tokens === undefined) return undefined;
    const isGood = authorization === `Bearer t${this.#tokenCount}` && this.#tokenUses > 0;
    this.#tokenUses -= 1;
    if (isGood) return undefined;
    const header = `Bearer realm="${tokens.realm}",service="fake",scope="repository:x:pull"`;
    return fault(401, "UNAUTHORIZED", { "WWW-Authenticate": header });
  }

  async #token(request: Request, url: URL): Promise<Response> {
    const asked = request.method === "POST" ? await request.text() : url.search;
    const authorization = request.headers.get("authorization") ?? "-";
    this.tokenLog.push(`${asked} ${authorization}`);
    if (authorization === `Basic ${btoa("u:wrong")}`) {
      return Response.json({ details: "incorrect username or password" }, { status: 401 });
    }
    this.#tokenCount += 1;
    this.#tokenUses = this.faults.tokens?.uses ?? 0;
    const isOffline = url.searchParams.get("offline_token") === "true";
    const refresh = isOffline ? { refresh_token: "identity" } : {};
    return Response.json({ token: `t${this.#tokenCount}`, ...refresh });
  }

  #blob(request: Request, digest: string): Response {
    const bytes = this.faults.otherContent ?? this.blobs.get(digest);
    if (bytes === undefined) return fault(404, "BLOB_UNKNOWN");
    if (this.faults.redirect !== undefined)
      return Response.redirect(this.faults.redirect + digest, 307);
    if (request.method === "HEAD")
      return new Response(null, { headers: { "Content-Length": String(bytes.length) } });
    const range = request.headers.get("range");
    if (range !== null) this.ranges.push(range);
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    const isPart = this.faults.hasRanges && from > 0;
    const body = isPart ? bytes.slice(from) : bytes;
    const headers: Record<string, string> = isPart
      ? { "Content-Range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` }
      : {};
    const { stall } = this.faults;
    if (stall?.digest === digest) {
      request.signal.addEventListener("abort", stall.onGone, { once: true });
      return stalled(body.slice(0, stall.afterBytes));
    }
    const cut = this.faults.cuts.shift();
    const status = isPart ? 206 : 200;
    if (cut !== undefined && cut < body.length) return cutOff(body, cut, { status, headers });
    return new Response(new Uint8Array(body), { status, headers });
  }

  async #upload(request: Request, url: URL, id: string): Promise<Response> {
    const parts = this.uploads.get(id);
    if (parts === undefined) return fault(404, "BLOB_UPLOAD_UNKNOWN");
    const bytes = new Uint8Array(await request.arrayBuffer());
    const size = (): number => parts.reduce((sum, part) => sum + part.length, 0);
    const headers = (): Record<string, string> => ({
      Location: url.pathname,
      Range: `0-${Math.max(0, size() - 1)}`,
    });
    if (request.method === "GET") return new Response(null, { status: 204, headers: headers() });
    const cut = this.faults.cuts.shift();
    if (cut !== undefined) {
      parts.push(bytes.slice(0, cut));
      return fault(503, "UNAVAILABLE");
    }
    parts.push(bytes);
    if (request.method === "PATCH") return new Response(null, { status: 202, headers: headers() });
    const digest = url.searchParams.get("digest") ?? "";
    const whole = Buffer.concat(parts);
    if (digestOf(whole) !== digest) return fault(400, "DIGEST_INVALID");
    this.blobs.set(digest, whole);
    this.uploads.delete(id);
    return new Response(null, { status: 201 });
  }

  async #manifest(request: Request, name: string): Promise<Response> {
    if (request.method === "PUT") {
      const text = await request.text();
      const entry = { text, type: request.headers.get("content-type") ?? "" };
      this.manifests.set(name, entry);
      this.manifests.set(digestOf(text), entry);
      return new Response(null, {
        status: 201,
        headers: { "Docker-Content-Digest": digestOf(text) },
      });
    }
    const found = this.manifests.get(name);
    if (found === undefined) return fault(404, "MANIFEST_UNKNOWN");
    const { rateLimit } = this.faults;
    return new Response(request.method === "HEAD" ? null : found.text, {
      headers: {
        "Content-Type": found.type,
        "Content-Length": String(Buffer.byteLength(found.text)),
        "Docker-Content-Digest": digestOf(found.text),
        ...(rateLimit === undefined
          ? {}
          : {
              "RateLimit-Limit": rateLimit.limit,
              "RateLimit-Remaining": rateLimit.remaining,
            }),
      },
    });
  }

  async answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname === "/token") return await this.#token(request, url);
    const authorization = request.headers.get("authorization") ?? "";
    this.log.push(`${request.method} ${url.pathname} ${authorization || "-"}`);
    const refusal = this.faults.refusals[0];
    if (refusal !== undefined && (refusal.path ?? /blobs|manifests/).test(url.pathname)) {
      this.faults.refusals.shift();
      const headers = refusal.retryAfter === undefined ? {} : { "Retry-After": refusal.retryAfter };
      return fault(refusal.status, "TOOMANYREQUESTS", headers as Record<string, string>);
    }
    const refused = this.#challenge(authorization);
    if (refused !== undefined) return refused;
    const subject = /\/referrers\/(.*)$/.exec(url.pathname)?.[1];
    if (subject !== undefined && this.referrers !== undefined) {
      const nothing = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] });
      const headers = { "Content-Type": OCI_INDEX };
      return new Response(this.referrers.get(subject) ?? nothing, { headers });
    }
    if (subject !== undefined) return fault(404, "UNSUPPORTED");
    if (url.pathname.endsWith("/tags/list")) {
      const tags = [...this.manifests.keys()].filter((name) => !name.includes(":"));
      return Response.json({ name: "", tags });
    }
    const [, kind, rest = ""] =
      /\/(blobs\/uploads|blobs|manifests)\/(.*)$/.exec(url.pathname) ?? [];
    if (kind === undefined) return Response.json({});
    if (kind === "manifests") return await this.#manifest(request, rest);
    if (kind === "blobs") return this.#blob(request, rest);
    if (rest !== "") return await this.#upload(request, url, rest);
    const id = String(this.uploads.size + 1);
    this.uploads.set(id, []);
    return new Response(null, { status: 202, headers: { Location: `${url.pathname}${id}` } });
  }
}

const addManifest = (fake: Fake, name: string, text: string, type: string): Digest => {
  const document = { text, type };
  fake.manifests.set(name, document);
  fake.manifests.set(digestOf(text), document);
  return digestOf(text);
};

const addIndex = (fake: Fake, name: string, entries: readonly FakeEntry[]): Digest => {
  const manifests = entries.map((entry) => {
    const { text, type } = fake.manifests.get(entry.digest) ?? { text: "", type: "" };
    return { mediaType: type, size: text.length, ...entry };
  });
  const text = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
  return addManifest(fake, name, text, OCI_INDEX);
};

export const startRegistry = (): FakeRegistry => {
  const fake = new Fake();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    maxRequestBodySize: 1024 * 1024 * 1024,
    fetch: (request) => fake.answer(request),
  });
  const add = (bytes: Uint8Array): Digest => {
    const digest = digestOf(bytes);
    fake.blobs.set(digest, bytes);
    return digest;
  };
  return {
    host: `localhost:${server.port}`,
    url: `http://localhost:${server.port}`,
    faults: fake.faults,
    blobs: fake.blobs,
    manifests: fake.manifests,
    get referrers() {
      return fake.referrers;
    },
    set referrers(referrers) {
      fake.referrers = referrers;
    },
    log: fake.log,
    tokenLog: fake.tokenLog,
    ranges: fake.ranges,
    addImage: (name, layers, more = {}) => {
      const config = JSON.stringify({
        architecture: process.arch === "x64" ? "amd64" : process.arch,
        os: "linux",
        rootfs: { type: "layers", diff_ids: layers.map(({ tar }) => digestOf(tar)) },
        ...more,
      });
      const descriptors = layers.map(({ blob }): Descriptor => ({
        mediaType: OCI_LAYER_GZIP,
        digest: add(blob),
        size: blob.length,
      }));
      const text = JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        config: { mediaType: OCI_CONFIG, digest: add(Buffer.from(config)), size: config.length },
        layers: descriptors,
      });
      return addManifest(fake, name, text, OCI_MANIFEST);
    },
    addIndex: (name, entries) => addIndex(fake, name, entries),
    addArtifact: (name, [config = "{}", ...layers], more = {}) => {
      const describe = (text: string, mediaType: string) => ({
        mediaType,
        digest: add(Buffer.from(text)),
        size: Buffer.byteLength(text),
      });
      const document = {
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        config: describe(config, "application/vnd.oci.empty.v1+json"),
        layers: layers.map((layer) => describe(layer, "application/octet-stream")),
        ...more,
      };
      return addManifest(fake, name, JSON.stringify(document), OCI_MANIFEST);
    },
    [Symbol.dispose]: () => void server.stop(true),
  };
};
