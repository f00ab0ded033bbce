/** Sending one layer to a registry: compressed on the way where it is a plain tar. Runs in the fetch worker. */
import { gzipFile } from "#image/compress.ts";
import type { PushResult, PushTask } from "#image/fetch-protocol.ts";
import { backoffMs } from "#lib/backoff.ts";
import { sleep } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import type { SocketKernel } from "#kernel/kernel.ts";
import { createRemote } from "#remote/client.ts";
import type { Repository, Upload } from "#remote/remote.ts";
import { sha256Digest } from "#spec/image/digest.ts";
import { parseReference } from "#spec/image/reference.ts";

const PAUSE = { firstMs: 500, mostMs: 15_000 };
const FINAL = ["unauthenticated", "permission_denied", "data_loss", "invalid_argument"];

/**
 * A plain tar on its way out: compressed while it is sent, so nothing of it is kept. To go on after a cut it is
 * compressed again, which gives the same bytes, and what the registry has is left out.
 */
class Compression {
  readonly #path: string;
  readonly #kernel: SocketKernel;
  #hasher = new Bun.CryptoHasher("sha256");
  #sizeBytes = 0;
  #isWhole = false;

  constructor(path: string, kernel: SocketKernel) {
    this.#path = path;
    this.#kernel = kernel;
  }

  async *from(offset: number): AsyncGenerator<Uint8Array, void> {
    this.#hasher = new Bun.CryptoHasher("sha256");
    this.#sizeBytes = 0;
    this.#isWhole = false;
    for await (const chunk of gzipFile(this.#path, this.#kernel)) {
      this.#hasher.update(chunk);
      const begin = Math.max(0, offset - this.#sizeBytes);
      this.#sizeBytes += chunk.length;
      if (begin < chunk.length) yield begin === 0 ? chunk : chunk.subarray(begin);
    }
    this.#isWhole = true;
  }

  result(): PushResult {
    if (!this.#isWhole) throw new NaruError("internal", "the layer was not compressed to its end");
    const digest = sha256Digest(this.#hasher.copy().digest("hex"));
    return { digest, sizeBytes: this.#sizeBytes };
  }
}

type Send = (upload: Upload, signal: AbortSignal) => Promise<void>;

/** Goes on where the registry says it is after a failure; begins anew when it has forgotten the upload. */
const sendPatiently = async (
  repository: Repository,
  send: Send,
  maxAttempts: number,
  onProgress: (bytes: number) => void,
): Promise<Upload> => {
  const { signal } = new AbortController(); // The daemon ends the process instead.
  let upload = await begin(repository, signal);
  for (let attempt = 0; ;) {
    const before = upload.offset;
    try {
      await send(upload, signal);
      return upload;
    } catch (thrown) {
      const error = toNaruError(thrown);
      attempt += 1;
      if (FINAL.includes(error.code) || attempt >= maxAttempts) throw error;
      const wishMs = Number(error.details["retryAfterMs"] ?? 0);
      await sleep(Math.max(wishMs, backoffMs(attempt, PAUSE)), signal);
    }
    try {
      await upload.resume(signal);
    } catch {
      upload = await begin(repository, signal);
    }
    if (upload.offset > before) attempt = 0;
    onProgress(upload.offset);
  }
};

const begin = async (repository: Repository, signal: AbortSignal): Promise<Upload> => {
  const upload = await repository.upload({}, signal);
  if (upload !== undefined) return upload;
  throw new NaruError("unavailable", "the registry mounted a blob that nobody asked it to");
};

async function* told(
  source: AsyncIterable<Uint8Array>,
  start: number,
  onProgress: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void> {
  let sent = start;
  for await (const chunk of source) {
    yield chunk;
    sent += chunk.length;
    onProgress(sent);
  }
}

/** The registry has the blob afterwards. */
export const pushBlob = async (
  task: PushTask,
  kernel: SocketKernel,
  onProgress: (bytes: number) => void,
): Promise<PushResult> => {
  const { config, digest, path, sizeBytes } = task;
  const remote = createRemote(config, task.state);
  const repository = remote.repository(parseReference(task.reference), task.credentials);
  const { signal } = new AbortController();
  if (digest !== undefined) {
    const sendRest: Send = async (upload) => {
      const start = upload.offset;
      const rest = (): Blob => Bun.file(path).slice(start, sizeBytes);
      await upload.append(rest, sizeBytes - start, signal);
      onProgress(upload.offset);
    };
    const upload = await sendPatiently(repository, sendRest, config.maxAttempts, onProgress);
    await upload.finish(digest, signal);
    return { digest, sizeBytes };
  }
  const compression = new Compression(path, kernel);
  const sendCompressed: Send = async (upload) => {
    const start = upload.offset;
    await upload.stream(() => told(compression.from(start), start, onProgress), signal);
  };
  const upload = await sendPatiently(repository, sendCompressed, config.maxAttempts, onProgress);
  const result = compression.result();
  await upload.finish(result.digest, signal);
  return result;
};
