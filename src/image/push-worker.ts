/** Sending one layer to a registry: compressed on the way where it is a plain tar. Runs in the fetch worker. */
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { gzipFile } from "#image/compress.ts";
import type { PushResult, PushTask } from "#image/fetch-protocol.ts";
import { backoffMs } from "#lib/backoff.ts";
import { sleep } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { createRemote } from "#remote/client.ts";
import type { Repository, Upload } from "#remote/remote.ts";
import { sha256Digest } from "#spec/image/digest.ts";
import { parseReference } from "#spec/image/reference.ts";

const PAUSE = { firstMs: 500, mostMs: 15_000 };
/** While a layer is being compressed, what is ready goes out in pieces of at least this size. */
const CHUNK_BYTES = 16 * 1024 * 1024;
const FINAL = ["unauthenticated", "permission_denied", "data_loss", "invalid_argument"];

/** What can be sent so far: a file that is finished, or one that a compressor still writes. */
interface Outgoing {
  readonly path: string;
  readonly available: number;
  readonly isComplete: boolean;
  /** Resolves when more than `bytes` are there, or all. Throws what the compressor threw. */
  beyond(bytes: number): Promise<void>;
}

class Compression implements Outgoing {
  readonly path: string;
  readonly #hasher = new Bun.CryptoHasher("sha256");
  readonly #done: Promise<void>;
  #wake: (() => void) | undefined;
  #failure: unknown;
  available = 0;
  isComplete = false;

  constructor(source: string, path: string) {
    this.path = path;
    this.#done = this.#run(source);
    this.#done.catch((error: unknown) => {
      this.#failure = error;
      this.#wake?.();
    });
  }

  async #run(source: string): Promise<void> {
    const fd = openSync(this.path, "wx", 0o600);
    try {
      for await (const chunk of gzipFile(source)) {
        for (let at = 0; at < chunk.length;) at += writeSync(fd, chunk, at, chunk.length - at);
        this.#hasher.update(chunk);
        this.available += chunk.length;
        this.#wake?.();
      }
    } finally {
      closeSync(fd);
    }
    this.isComplete = true;
    this.#wake?.();
  }

  async beyond(bytes: number): Promise<void> {
    while (this.available <= bytes && !this.isComplete) {
      if (this.#failure !== undefined) throw this.#failure;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }

  async result(): Promise<PushResult> {
    await this.#done;
    return { digest: sha256Digest(this.#hasher.digest("hex")), sizeBytes: this.available };
  }
}

const sendAll = async (
  upload: Upload,
  outgoing: Outgoing,
  signal: AbortSignal,
  onProgress: (bytes: number) => void,
): Promise<void> => {
  for (;;) {
    await outgoing.beyond(outgoing.isComplete ? upload.offset : upload.offset + CHUNK_BYTES - 1);
    const start = upload.offset;
    const end = outgoing.available;
    if (end > start) {
      await upload.append(() => Bun.file(outgoing.path).slice(start, end), end - start, signal);
      onProgress(upload.offset);
    } else if (outgoing.isComplete) return;
  }
};

/** Goes on where the registry says it is after a failure; begins anew when it has forgotten the upload. */
const sendPatiently = async (
  repository: Repository,
  outgoing: Outgoing,
  maxAttempts: number,
  onProgress: (bytes: number) => void,
): Promise<Upload> => {
  const { signal } = new AbortController(); // The daemon ends the process instead.
  let upload = await begin(repository, signal);
  for (let attempt = 0; ;) {
    const before = upload.offset;
    try {
      await sendAll(upload, outgoing, signal, onProgress);
      return upload;
    } catch (thrown) {
      const error = toNaruError(thrown);
      attempt = upload.offset > before ? 0 : attempt + 1;
      if (FINAL.includes(error.code) || attempt >= maxAttempts) throw error;
      const wishMs = Number(error.details["retryAfterMs"] ?? 0);
      await sleep(Math.max(wishMs, backoffMs(attempt, PAUSE)), signal);
    }
    try {
      await upload.resume(signal);
    } catch {
      upload = await begin(repository, signal);
    }
    onProgress(upload.offset);
  }
};

const begin = async (repository: Repository, signal: AbortSignal): Promise<Upload> => {
  const upload = await repository.upload({}, signal);
  if (upload !== undefined) return upload;
  throw new NaruError("unavailable", "the registry mounted a blob that nobody asked it to");
};

/** The registry has the blob afterwards. */
export const pushBlob = async (
  task: PushTask,
  onProgress: (bytes: number) => void,
): Promise<PushResult> => {
  const { config, digest, path, sizeBytes } = task;
  const remote = createRemote(config, task.state);
  const repository = remote.repository(parseReference(task.reference), task.credentials);
  const { signal } = new AbortController();
  if (digest !== undefined) {
    const outgoing: Outgoing = {
      path,
      available: sizeBytes,
      isComplete: true,
      beyond: () => Promise.resolve(),
    };
    const upload = await sendPatiently(repository, outgoing, config.maxAttempts, onProgress);
    await upload.finish(digest, signal);
    return { digest, sizeBytes };
  }
  const file = join(task.directory, "compressed");
  const compression = new Compression(path, file);
  try {
    const upload = await sendPatiently(repository, compression, config.maxAttempts, onProgress);
    const result = await compression.result();
    await upload.finish(result.digest, signal);
    return result;
  } finally {
    rmSync(file, { force: true });
  }
};
