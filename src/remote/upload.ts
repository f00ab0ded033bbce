/** Blob uploads in chunks (distribution-spec 1.1, "Pushing blobs"), with resume. */
import { NaruError } from "#lib/errors.ts";
import type { HostClient, RegistryRequest } from "#remote/host.ts";
import type { Upload } from "#remote/remote.ts";
import { uploadedBytes } from "#spec/distribution/answers.ts";
import type { Digest } from "#spec/image/digest.ts";

type Access = Pick<RegistryRequest, "credentials" | "scopes" | "attempts">;

const OCTETS = "application/octet-stream";

class ChunkedUpload implements Upload {
  readonly #client: HostClient;
  readonly #access: Access;
  #location: URL;
  offset = 0;

  constructor(client: HostClient, access: Access, location: URL) {
    this.#client = client;
    this.#access = access;
    this.#location = location;
  }

  async append(body: () => Blob, sizeBytes: number, signal: AbortSignal): Promise<void> {
    if (sizeBytes === 0) return;
    const end = this.offset + sizeBytes;
    const response = await this.#client.request({
      ...this.#access,
      attempts: 1,
      method: "PATCH",
      path: this.#location,
      headers: { "Content-Type": OCTETS, "Content-Range": `${this.offset}-${end - 1}` },
      body,
      accepts: [202, 204],
      what: "blob upload",
      signal,
    });
    await response.body?.cancel();
    this.#follow(response);
    const range = response.headers.get("range");
    this.offset = range === null ? end : uploadedBytes(range);
    if (this.offset !== end) {
      throw new NaruError("unavailable", `the registry took ${this.offset} of ${end} bytes`);
    }
  }

  async stream(body: () => AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const before = this.offset;
    let sent = 0;
    const counted = async function* (): AsyncGenerator<Uint8Array, void> {
      sent = 0;
      for await (const chunk of body()) {
        sent += chunk.length;
        yield chunk;
      }
    };
    const response = await this.#client.request({
      ...this.#access,
      attempts: 1,
      method: "PATCH",
      path: this.#location,
      headers: { "Content-Type": OCTETS },
      body: counted,
      accepts: [202, 204],
      what: "blob upload",
      signal,
    });
    await response.body?.cancel();
    this.#follow(response);
    const end = before + sent;
    const range = response.headers.get("range");
    this.offset = range === null ? end : uploadedBytes(range);
    if (this.offset !== end) {
      throw new NaruError("unavailable", `the registry took ${this.offset} of ${end} bytes`);
    }
  }

  async resume(signal: AbortSignal): Promise<void> {
    const response = await this.#client.request({
      ...this.#access,
      method: "GET",
      path: this.#location,
      accepts: [204, 202, 200],
      what: "blob upload",
      signal,
    });
    await response.body?.cancel();
    this.#follow(response);
    this.offset = uploadedBytes(response.headers.get("range"));
  }

  async finish(digest: Digest, signal: AbortSignal): Promise<void> {
    const url = new URL(this.#location);
    url.searchParams.set("digest", digest);
    const response = await this.#client.request({
      ...this.#access,
      method: "PUT",
      path: url,
      headers: { "Content-Type": OCTETS, "Content-Length": "0" },
      body: () => "",
      accepts: [200, 201, 204],
      what: `blob "${digest}"`,
      signal,
    });
    await response.body?.cancel();
  }

  async cancel(): Promise<void> {
    try {
      const response = await this.#client.request({
        ...this.#access,
        attempts: 1,
        method: "DELETE",
        path: this.#location,
        accepts: [200, 202, 204, 404, 405],
        what: "blob upload",
        signal: AbortSignal.timeout(5000),
      });
      await response.body?.cancel();
    } catch {
      // It expires by itself.
    }
  }

  #follow(response: Response): void {
    const location = response.headers.get("location");
    if (location !== null && URL.canParse(location, response.url)) {
      this.#location = new URL(location, response.url);
    }
  }
}

/** undefined: the registry mounted the blob. */
export const beginUpload = async (
  client: HostClient,
  path: string,
  access: Access,
  signal: AbortSignal,
): Promise<Upload | undefined> => {
  const response = await client.request({
    ...access,
    method: "POST",
    path,
    body: () => "",
    headers: { "Content-Length": "0" },
    accepts: [201, 202],
    what: "blob upload",
    signal,
  });
  await response.body?.cancel();
  if (response.status === 201) return undefined;
  const location = response.headers.get("location") ?? "";
  if (!URL.canParse(location, response.url)) {
    throw new NaruError("unavailable", "the registry began an upload without saying where");
  }
  return new ChunkedUpload(client, access, new URL(location, response.url));
};
