/** A blob into a file, from where an earlier try stopped. For a process of its own: it writes and hashes much. */
import {
  closeSync,
  fdatasync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import { constants } from "node:fs";
import { backoffMs } from "#lib/backoff.ts";
import { sleep } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { fetchReason } from "#lib/fetch-reason.ts";
import type { BlobBody, Repository } from "#remote/remote.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import { type Digest, algorithmOf, parseDigest } from "#spec/image/digest.ts";

export interface DownloadOptions {
  readonly repository: Pick<Repository, "openBlob">;
  readonly blob: Descriptor;
  /** Kept when the download fails, for the next one; gone when its content is wrong. */
  readonly file: string;
  /** Tries without a single new byte before it gives up. */
  readonly maxAttempts: number;
  readonly signal: AbortSignal;
  /** So many bytes are in the file. Never goes back, but to 0 when the content begun was wrong. */
  readonly onProgress: (bytes: number) => void;
}

const PAUSE = { firstMs: 300, mostMs: 15_000 };
const RETRY_AFTER_MAX_MS = 120_000;
/** A connection that sends nothing for so long is given up. */
const STALL_MS = 45_000;
const SYNC_EVERY_BYTES = 32 * 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;
const CUT_CODES = ["ECONNRESET", "ConnectionClosed"];
/** What another try cannot change. */
const FINAL = ["not_found", "unauthenticated", "permission_denied", "data_loss", "out_of_range"];

const sync = (fd: number): Promise<void> =>
  new Promise((resolve, reject) => {
    fdatasync(fd, (error) => (error === null ? resolve() : reject(error)));
  });

/** The file with what is in it, and the hash of that. */
class PartialFile implements Disposable {
  readonly #fd: number;
  readonly #algorithm: "sha256" | "sha512";
  #hasher: Bun.CryptoHasher;
  #syncedAt = 0;
  #syncing: Promise<void> | undefined;
  sizeBytes = 0;

  constructor(path: string, algorithm: "sha256" | "sha512") {
    this.#algorithm = algorithm;
    this.#hasher = new Bun.CryptoHasher(algorithm);
    this.#fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  }

  /** Hashes what an earlier try left. More than `maxBytes` cannot be part of it. */
  readExisting(maxBytes: number): void {
    const { size } = fstatSync(this.#fd);
    if (size > maxBytes) return this.clear();
    const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    while (this.sizeBytes < size) {
      const count = readSync(this.#fd, buffer, 0, buffer.length, this.sizeBytes);
      if (count === 0) return;
      this.#hasher.update(buffer.subarray(0, count));
      this.sizeBytes += count;
    }
  }

  append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      at += writeSync(this.#fd, bytes, at, bytes.length - at, this.sizeBytes + at);
    }
    this.#hasher.update(bytes);
    this.sizeBytes += bytes.length;
    if (this.sizeBytes - this.#syncedAt < SYNC_EVERY_BYTES || this.#syncing !== undefined) return;
    this.#syncedAt = this.sizeBytes;
    // A failure shows again at the last sync.
    const done = (): void => void (this.#syncing = undefined);
    this.#syncing = sync(this.#fd).then(done, done);
  }

  clear(): void {
    ftruncateSync(this.#fd, 0);
    this.#hasher = new Bun.CryptoHasher(this.#algorithm);
    this.sizeBytes = 0;
    this.#syncedAt = 0;
  }

  async finish(): Promise<Digest> {
    await this.#syncing;
    await sync(this.#fd);
    return parseDigest(`${this.#algorithm}:${this.#hasher.copy().digest("hex")}`);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

/** Ends with unavailable when nothing comes for too long. */
async function* watched(
  stream: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const reader = stream.getReader();
  try {
    for (;;) {
      signal.throwIfAborted();
      const { promise, reject } = Promise.withResolvers<never>();
      const timer = setTimeout(
        () => reject(new NaruError("unavailable", `nothing came for ${STALL_MS / 1000} s`)),
        STALL_MS,
      );
      const next = await Promise.race([reader.read(), promise]).finally(() => clearTimeout(timer));
      if (next.done) return;
      yield next.value;
    }
  } finally {
    // Not waited for: a connection that stalls does not answer to this either.
    reader.cancel().catch(() => undefined);
  }
}

const readOnce = async (
  { blob, signal, onProgress }: DownloadOptions,
  file: PartialFile,
  { stream, offset }: BlobBody,
): Promise<void> => {
  let known = file.sizeBytes - offset;
  for await (const chunk of watched(stream, signal)) {
    // The registry does no ranges: what is here already comes again.
    const fresh = known === 0 ? chunk : chunk.subarray(Math.min(known, chunk.length));
    known -= chunk.length - fresh.length;
    if (file.sizeBytes + fresh.length > blob.size) {
      throw new NaruError(
        "data_loss",
        `blob "${blob.digest}" is longer than its ${blob.size} bytes`,
      );
    }
    if (fresh.length === 0) continue;
    file.append(fresh);
    onProgress(file.sizeBytes);
  }
  if (file.sizeBytes < blob.size) {
    throw new NaruError(
      "unavailable",
      `blob "${blob.digest}" was cut off after ${file.sizeBytes} of ${blob.size} bytes; the next try goes on from there`,
    );
  }
};

/** Failures of the network have become NaruErrors by then, or have no system call. */
const isDiskFailure = (error: unknown): boolean =>
  error instanceof Error && !(error instanceof NaruError) && "syscall" in error;

/** A body that breaks off fails in the runtime's words, which name neither the blob nor what becomes of it. */
const cutError = (thrown: unknown, { blob }: DownloadOptions, sizeBytes: number): NaruError => {
  const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
  const reason = CUT_CODES.includes(code) ? "connection reset by peer" : fetchReason(thrown);
  return new NaruError(
    "unavailable",
    `blob "${blob.digest}" was cut off after ${sizeBytes} of ${blob.size} bytes: ${reason}; the next try goes on from there`,
    { cause: thrown },
  );
};

/** What was read of a blob, and where the last of it came from. */
interface Reading {
  readonly file: PartialFile;
  last: BlobBody | undefined;
  /** Bytes of a mirror that was passed over are in the file. */
  isMixed: boolean;
}

const readAll = async (options: DownloadOptions, reading: Reading): Promise<void> => {
  const { blob, maxAttempts, repository, signal } = options;
  const { file } = reading;
  let attempt = 0;
  let failuresOfPlace = 0;
  while (file.sizeBytes < blob.size) {
    const before = file.sizeBytes;
    let body: BlobBody | undefined;
    try {
      body = await repository.openBlob(blob, file.sizeBytes, signal);
      reading.last = body;
      await readOnce(options, file, body);
    } catch (thrown) {
      signal.throwIfAborted();
      const isCut = body !== undefined && !(thrown instanceof NaruError) && !isDiskFailure(thrown);
      const error = isCut ? cutError(thrown, options, file.sizeBytes) : toNaruError(thrown);
      attempt = file.sizeBytes > before ? 0 : attempt + 1;
      failuresOfPlace += 1;
      if (isDiskFailure(thrown)) throw thrown;
      const wishMs = Number(error.details["retryAfterMs"] ?? 0);
      const isHopeless =
        FINAL.includes(error.code) || attempt >= maxAttempts || wishMs > RETRY_AFTER_MAX_MS;
      // A mirror that cuts off again and again is no help, however far it comes each time.
      if ((isHopeless || failuresOfPlace >= maxAttempts) && body?.passOver() === true) {
        attempt = 0;
        failuresOfPlace = 0;
        reading.isMixed = file.sizeBytes > 0;
        continue;
      }
      if (isHopeless) throw error;
      await sleep(Math.max(wishMs, backoffMs(attempt, PAUSE)), signal);
    }
  }
};

/**
 * The whole blob is in the file, on disk, and is what its digest says: else data_loss, or what the
 * registry said, or unavailable after `maxAttempts` tries in a row that brought nothing. A mirror that cuts off
 * `maxAttempts` times, or sends something else, is passed over.
 */
export const downloadBlob = async (options: DownloadOptions): Promise<void> => {
  const { blob, file: path, onProgress } = options;
  using file = new PartialFile(path, algorithmOf(blob.digest));
  const reading: Reading = { file, last: undefined, isMixed: false };
  file.readExisting(blob.size);
  let isResumed = file.sizeBytes > 0;
  if (isResumed) onProgress(file.sizeBytes);
  for (;;) {
    let digest: Digest;
    try {
      await readAll(options, reading);
      digest = await file.finish();
    } catch (error) {
      if (toNaruError(error).code === "data_loss") rmSync(path, { force: true });
      throw error;
    }
    if (digest === blob.digest) return;
    const isFromMirror = reading.last?.passOver() === true;
    if (!isResumed && !reading.isMixed && !isFromMirror) {
      rmSync(path, { force: true });
      throw new NaruError(
        "data_loss",
        `filesystem layer verification failed for digest ${blob.digest}: the registry sent ${digest}`,
      );
    }
    // Perhaps it was the beginning that was wrong: once more, from nothing.
    isResumed = false;
    reading.isMixed = false;
    file.clear();
    onProgress(0);
  }
};
