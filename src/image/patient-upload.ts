/** Uploads that go on after a cut, and wait as long as a busy registry asks them to. */
import { backoffMs } from "#lib/backoff.ts";
import { sleep } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import type { Repository, Upload } from "#remote/remote.ts";
import type { Digest } from "#spec/image/digest.ts";

const PAUSE = { firstMs: 500, mostMs: 15_000 };
const FINAL = ["unauthenticated", "permission_denied", "data_loss", "invalid_argument"];
/** Of what is small enough to be sent in one piece. */
const ATTEMPTS = 5;

export type Send = (upload: Upload, signal: AbortSignal) => Promise<void>;

export interface Patience {
  /** In a row without a new byte. */
  readonly maxAttempts: number;
  readonly onProgress: (bytes: number) => void;
  readonly signal: AbortSignal;
}

const begin = async (repository: Repository, signal: AbortSignal): Promise<Upload> => {
  const upload = await repository.upload({}, signal);
  if (upload !== undefined) return upload;
  throw new NaruError("unavailable", "the registry mounted a blob that nobody asked it to");
};

/** Goes on where the registry says it is after a failure; begins anew when it has forgotten the upload. */
export const sendPatiently = async (
  repository: Repository,
  send: Send,
  { maxAttempts, onProgress, signal }: Patience,
): Promise<Upload> => {
  let upload = await begin(repository, signal);
  for (let attempt = 0; ;) {
    const before = upload.offset;
    try {
      await send(upload, signal);
      return upload;
    } catch (thrown) {
      signal.throwIfAborted();
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

/** A config or the like, out of memory. The registry has it afterwards. */
export const sendSmall = async (
  repository: Repository,
  digest: Digest,
  bytes: Uint8Array<ArrayBuffer>,
  signal: AbortSignal,
): Promise<void> => {
  if (await repository.hasBlob(digest, signal)) return;
  const send: Send = async (upload) => {
    const { offset } = upload;
    // The registry took it, and its answer was lost.
    if (offset === bytes.length && offset > 0) return;
    const rest = (): Blob => new Blob([bytes.subarray(offset)]);
    await upload.append(rest, bytes.length - offset, signal);
  };
  const patience = { maxAttempts: ATTEMPTS, onProgress: () => undefined, signal };
  const upload = await sendPatiently(repository, send, patience);
  await upload.finish(digest, signal);
};
