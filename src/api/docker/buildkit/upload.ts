/** Contexts that come as a tar from a client's standard input: by its session, or as a request of its own. */
import { fromBinary } from "@bufbuild/protobuf";
import type { ClientSession } from "#api/docker/buildkit/sessions.ts";
import { NaruError } from "#lib/errors.ts";
import { ChunkSchema } from "#spec/buildkit/session.gen.ts";

const PULL = "/moby.upload.v1.Upload/Pull";
const WAITING_MAX = 100;

/** True for "http://buildkit-session/ID", which only the session can answer. */
export const isSessionUrl = (url: string): boolean => url.startsWith("http://buildkit-session/");

export async function* pullUpload(
  session: ClientSession,
  url: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const { pathname, host } = new URL(url);
  const stream = session.client.stream(PULL, { urlpath: pathname, urlhost: host }, signal);
  stream.end();
  for await (const message of stream.messages) yield fromBinary(ChunkSchema, message).data;
}

interface Waiting {
  readonly body: PromiseWithResolvers<AsyncIterable<Uint8Array>>;
  /** Settles when the build has read the body, or will not. */
  readonly taken: PromiseWithResolvers<void>;
}

/** Bodies of requests that belong to builds which another request started. */
export class Uploads {
  readonly #waiting = new Map<string, Waiting>();

  /** Offers `body` to the build `id`; resolves when it was read. */
  async offer(id: string, body: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    const waiting = this.#of(id);
    waiting.body.resolve(body);
    await this.#orAborted(waiting.taken.promise, signal);
  }

  /** The body that another request offers for the build `id`. */
  async *take(id: string, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const waiting = this.#of(id);
    try {
      yield* await this.#orAborted(waiting.body.promise, signal);
    } finally {
      this.forget(id);
    }
  }

  /** The build is over: nobody waits for its body any more. */
  forget(id: string): void {
    this.#waiting.get(id)?.taken.resolve();
    this.#waiting.delete(id);
  }

  #of(id: string): Waiting {
    let waiting = this.#waiting.get(id);
    if (waiting === undefined) {
      if (this.#waiting.size >= WAITING_MAX) {
        throw new NaruError("resource_exhausted", `${WAITING_MAX} contexts are awaited already`);
      }
      waiting = { body: Promise.withResolvers(), taken: Promise.withResolvers() };
      this.#waiting.set(id, waiting);
    }
    return waiting;
  }

  async #orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const leave = (): void => reject(signal.reason);
    signal.throwIfAborted();
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await Promise.race([promise, aborted]);
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }
}
