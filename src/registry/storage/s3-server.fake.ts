/** A bucket for tests, on loopback: what S3's clients need of the protocol, with faults as told. */

export interface FakeBucket extends Disposable {
  readonly url: string;
  readonly objects: Map<string, Uint8Array<ArrayBuffer>>;
  /** "PUT key" for each request. */
  readonly log: string[];
  /** Statuses in place of the next answers to requests of that method. */
  readonly refusals: { method: string; status: number }[];
  /** Deletions wait so long. */
  deleteDelayMs: number;
  /** Objects are cut off after so many bytes. */
  cutAt: number | undefined;
}

const PAGE = 2;
const BUCKET = "/bucket/";

const xml = (body: string, status = 200): Response =>
  new Response(`<?xml version="1.0"?>${body}`, {
    status,
    headers: { "Content-Type": "application/xml" },
  });
const fault = (status: number, code: string): Response =>
  xml(`<Error><Code>${code}</Code><Message>${code}</Message></Error>`, status);

class Bucket implements FakeBucket {
  readonly objects = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly log: string[] = [];
  readonly refusals: FakeBucket["refusals"] = [];
  readonly url: string;
  readonly #times = new Map<string, string>();
  readonly #uploads = new Map<string, Map<number, Uint8Array<ArrayBuffer>>>();
  readonly #server: { stop(isForced: boolean): Promise<void> };
  #begun = 0;
  deleteDelayMs = 0;
  cutAt: number | undefined;

  constructor() {
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      maxRequestBodySize: 1024 * 1024 * 1024,
      fetch: (request) => this.#answer(request),
    });
    this.#server = server;
    this.url = `http://127.0.0.1:${server.port}`;
  }

  #store(key: string, bytes: Uint8Array<ArrayBuffer>): void {
    this.objects.set(key, bytes);
    this.#times.set(key, new Date().toISOString());
  }

  #list(url: URL): Response {
    const prefix = url.searchParams.get("prefix") ?? "";
    const after = url.searchParams.get("continuation-token") ?? "";
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > after);
    const page = keys.toSorted().slice(0, PAGE);
    const isTruncated = keys.length > page.length;
    const contents = page.map((key) => {
      const size = this.objects.get(key)?.length;
      const time = this.#times.get(key);
      return `<Contents><Key>${key}</Key><Size>${size}</Size><LastModified>${time}</LastModified></Contents>`;
    });
    const token = `<NextContinuationToken>${page.at(-1)}</NextContinuationToken>`;
    return xml(
      `<ListBucketResult><IsTruncated>${isTruncated}</IsTruncated>${isTruncated ? token : ""}${contents.join("")}</ListBucketResult>`,
    );
  }

  #get(request: Request, key: string): Response {
    const bytes = this.objects.get(key);
    if (bytes === undefined) return fault(404, "NoSuchKey");
    const headers = {
      ETag: '"e"',
      "Content-Length": String(bytes.length),
      "Last-Modified": new Date().toUTCString(),
    };
    if (request.method === "HEAD") return new Response(null, { headers });
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get("range") ?? "");
    const first = Number(range?.[1] ?? 0);
    if (range !== null && first >= bytes.length) return fault(416, "InvalidRange");
    const last = range?.[2] ? Number(range[2]) : bytes.length - 1;
    const body = bytes.slice(first, last + 1);
    return new Response(this.cutAt === undefined ? body : body.slice(0, this.cutAt), {
      status: range === null ? 200 : 206,
    });
  }

  async #multipart(request: Request, key: string, url: URL): Promise<Response> {
    const id = url.searchParams.get("uploadId") ?? "";
    const body = new Uint8Array(await request.arrayBuffer());
    if (request.method === "POST" && id === "") {
      this.#begun += 1;
      this.#uploads.set(String(this.#begun), new Map());
      return xml(
        `<InitiateMultipartUploadResult><UploadId>${this.#begun}</UploadId></InitiateMultipartUploadResult>`,
      );
    }
    const upload = this.#uploads.get(id);
    if (upload === undefined) return fault(404, "NoSuchUpload");
    if (request.method === "PUT") {
      upload.set(Number(url.searchParams.get("partNumber")), body);
      return new Response(null, { headers: { ETag: '"p"' } });
    }
    this.#uploads.delete(id);
    if (request.method === "DELETE") return new Response(null, { status: 204 });
    const ordered = [...upload].toSorted(([a], [b]) => a - b).map(([, bytes]) => bytes);
    this.#store(key, new Uint8Array(Buffer.concat(ordered)));
    return xml("<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>");
  }

  async #answer(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const { method } = request;
    const authorization = request.headers.get("authorization") ?? "";
    const isSigned =
      authorization.startsWith("AWS4-HMAC-SHA256 Credential=key/") ||
      url.searchParams.has("X-Amz-Signature");
    if (!isSigned) return fault(403, "AccessDenied");
    if (url.searchParams.has("list-type")) return this.#list(url);
    const key = decodeURIComponent(url.pathname.slice(BUCKET.length));
    this.log.push(`${method} ${key}`);
    const at = this.refusals.findIndex((one) => one.method === method);
    if (at >= 0) return fault(this.refusals.splice(at, 1)[0]?.status ?? 500, "SlowDown");
    if (url.searchParams.has("uploads") || url.searchParams.has("uploadId")) {
      return await this.#multipart(request, key, url);
    }
    if (method === "PUT") {
      this.#store(key, new Uint8Array(await request.arrayBuffer()));
      return new Response(null, { headers: { ETag: '"e"' } });
    }
    if (method !== "DELETE") return this.#get(request, key);
    await Bun.sleep(this.deleteDelayMs);
    this.objects.delete(key);
    return new Response(null, { status: 204 });
  }

  [Symbol.dispose](): void {
    void this.#server.stop(true);
  }
}

export const startBucket = (): FakeBucket => new Bucket();
