/**
 * Blobs in a bucket that speaks S3's protocol, by the runtime's own client. See storage.ts. Keys are
 * `<prefix>blobs/<algorithm>/<two digits>/<hex>`; large blobs go up in parts, a few side by side.
 */
import { rm } from "node:fs/promises";
import { NaruError } from "#lib/errors.ts";
import { KeyedQueue } from "#lib/keyed-queue.ts";
import type { Logger } from "#lib/log.ts";
import type { BlobStorage, RemoteBytes } from "#registry/storage/storage.ts";
import { type Digest, algorithmOf, hexOf, isDigest } from "#spec/image/digest.ts";

export interface S3Config {
  /** "https://s3.example.com". */
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  /** "" or "registry/". */
  readonly prefix: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Clients fetch blobs from the bucket themselves: it must be reachable for them under `endpoint`. */
  readonly redirects: boolean;
}

const PART_BYTES = 16 * 1024 * 1024;
const PARTS_AT_ONCE = 4;
const ATTEMPTS = 3;
const LINK_SECONDS = 600;
const PAGE = 1000;

const failure = (what: string, cause: unknown): NaruError => {
  const code =
    typeof cause === "object" && cause !== null && "code" in cause
      ? ` (${String(cause.code)})`
      : "";
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new NaruError("unavailable", `the registry's bucket ${what}: ${reason}${code}`, {
    cause,
    details: { status: 503, retryAfterSeconds: 5 },
  });
};

class S3Storage implements BlobStorage {
  readonly #client: Bun.S3Client;
  readonly #config: S3Config;
  readonly #log: Logger;
  /** Changes of one digest one after the other. */
  readonly #changes = new KeyedQueue();

  constructor(config: S3Config, log: Logger) {
    const { endpoint, bucket, region, accessKeyId, secretAccessKey } = config;
    this.#client = new Bun.S3Client({ endpoint, bucket, region, accessKeyId, secretAccessKey });
    this.#config = config;
    this.#log = log;
  }

  get #root(): string {
    return `${this.#config.prefix}blobs/`;
  }

  #key(digest: Digest): string {
    const hex = hexOf(digest);
    return `${this.#root}${algorithmOf(digest)}/${hex.slice(0, 2)}/${hex}`;
  }

  async adopt(file: string, digest: Digest, sizeBytes: number): Promise<void> {
    await this.#changes.run(digest, () => this.#put(file, digest, sizeBytes));
    await rm(file, { force: true });
  }

  async #put(file: string, digest: Digest, sizeBytes: number): Promise<void> {
    const key = this.#key(digest);
    try {
      if (sizeBytes > 0 && (await this.#sizeOf(key)) === sizeBytes) return;
      await this.#client.write(key, Bun.file(file), {
        partSize: PART_BYTES,
        queueSize: PARTS_AT_ONCE,
        retry: ATTEMPTS,
        type: "application/octet-stream",
      });
    } catch (error) {
      throw failure(`did not take blob "${digest}"`, error);
    }
    // What was acknowledged must be there: a bucket's answer alone is not taken for it.
    const stored = await this.#sizeOf(key).catch((error: unknown) => {
      throw failure(`does not answer for blob "${digest}"`, error);
    });
    if (stored === sizeBytes) return;
    throw failure("lost bytes", `it has ${stored ?? "none"} of the ${sizeBytes} of "${digest}"`);
  }

  async #sizeOf(key: string): Promise<number | undefined> {
    return (await this.#client.exists(key)) ? (await this.#client.stat(key)).size : undefined;
  }

  locate(digest: Digest): { readonly remote: RemoteBytes } {
    const key = this.#key(digest);
    const client = this.#client;
    const link = this.#config.redirects
      ? client.presign(key, { expiresIn: LINK_SECONDS, method: "GET" })
      : undefined;
    return {
      remote: {
        link,
        async *read(first, sizeBytes) {
          // Buckets refuse a range of nothing.
          if (sizeBytes === 0) return;
          let came = 0;
          try {
            for await (const chunk of client
              .file(key)
              .slice(first, first + sizeBytes)
              .stream()) {
              came += chunk.length;
              yield chunk;
            }
          } catch (error) {
            throw failure(`does not give blob "${digest}"`, error);
          }
          if (came === sizeBytes) return;
          throw failure(`does not give all of blob "${digest}"`, `${came} of ${sizeBytes} bytes`);
        },
      },
    };
  }

  delete(digest: Digest): void {
    this.#changes
      .run(digest, () => this.#client.delete(this.#key(digest)))
      .catch((error: unknown) => {
        // Collection comes across it again: it is a stray then.
        this.#log.warn("the bucket did not delete a blob", { digest, error });
      });
  }

  async *walk(): ReturnType<BlobStorage["walk"]> {
    let continuationToken: string | undefined;
    do {
      const page = await this.#client.list({
        prefix: this.#root,
        maxKeys: PAGE,
        ...(continuationToken === undefined ? {} : { continuationToken }),
      });
      for (const { key, size, lastModified } of page.contents ?? []) {
        const [algorithm, , hex] = key.slice(this.#root.length).split("/");
        const digest = `${algorithm}:${hex}`;
        if (!isDigest(digest)) continue;
        yield {
          digest,
          sizeBytes: Number(size ?? 0),
          changedAtMs: lastModified === undefined ? Number.NaN : Date.parse(lastModified),
        };
      }
      continuationToken = page.isTruncated === true ? page.nextContinuationToken : undefined;
    } while (continuationToken !== undefined);
  }

  /** Waits for what is being deleted. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#changes.idle();
  }
}

/** Asks the bucket once. Throws unavailable when it cannot be used. */
export const openS3Storage = async (config: S3Config, log: Logger): Promise<BlobStorage> => {
  const storage = new S3Storage(config, log);
  try {
    await storage.walk()[Symbol.asyncIterator]().next();
  } catch (error) {
    throw failure(`"${config.bucket}" at ${config.endpoint} cannot be used`, error);
  }
  return storage;
};
