/** Sending one layer to a registry: compressed on the way where it is a plain tar. Runs in the fetch worker. */
import { gzipFile } from "#image/compress.ts";
import type { PushResult, PushTask } from "#image/fetch-protocol.ts";
import { type Send, sendPatiently } from "#image/patient-upload.ts";
import { NaruError } from "#lib/errors.ts";
import { createRemote } from "#remote/client.ts";
import { sha256Digest } from "#spec/image/digest.ts";
import { parseReference } from "#spec/image/reference.ts";

/**
 * A plain tar on its way out: compressed while it is sent, so nothing of it is kept. To go on after a cut it is
 * compressed again, which gives the same bytes, and what the registry has is left out.
 */
class Compression {
  readonly #path: string;
  #hasher = new Bun.CryptoHasher("sha256");
  #sizeBytes = 0;
  #isWhole = false;

  constructor(path: string) {
    this.#path = path;
  }

  async *from(offset: number): AsyncGenerator<Uint8Array, void> {
    this.#hasher = new Bun.CryptoHasher("sha256");
    this.#sizeBytes = 0;
    this.#isWhole = false;
    for await (const chunk of gzipFile(this.#path)) {
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
  onProgress: (bytes: number) => void,
): Promise<PushResult> => {
  const { config, digest, path, sizeBytes } = task;
  const remote = createRemote(config, task.state);
  const repository = remote.repository(parseReference(task.reference), task.credentials);
  const { signal } = new AbortController(); // The daemon ends the process instead.
  const patience = { maxAttempts: config.maxAttempts, onProgress, signal };
  if (digest !== undefined) {
    const sendRest: Send = async (upload) => {
      const start = upload.offset;
      // The registry took it, and its answer was lost.
      if (start === sizeBytes && start > 0) return;
      const rest = (): Blob => Bun.file(path).slice(start, sizeBytes);
      await upload.append(rest, sizeBytes - start, signal);
      onProgress(upload.offset);
    };
    const upload = await sendPatiently(repository, sendRest, patience);
    await upload.finish(digest, signal);
    return { digest, sizeBytes };
  }
  const compression = new Compression(path);
  const sendCompressed: Send = async (upload) => {
    const start = upload.offset;
    await upload.stream(() => told(compression.from(start), start, onProgress), signal);
  };
  const upload = await sendPatiently(repository, sendCompressed, patience);
  const result = compression.result();
  await upload.finish(result.digest, signal);
  return result;
};
