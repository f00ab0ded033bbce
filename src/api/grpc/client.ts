/** The asking side of gRPC on a connection that is there already: the other end serves. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import type { Duplex } from "node:stream";

import { FrameReader } from "#api/grpc/frame.ts";
import { errorOfStatus } from "#api/grpc/status.ts";
import { messageWriter } from "#api/grpc/write-message.ts";
import { NaruError } from "#lib/errors.ts";

export type Metadata = Readonly<Record<string, string | string[]>>;

export interface GrpcStream {
  /** Ends with the call; throws its status. */
  readonly messages: AsyncIterable<Uint8Array>;
  send(message: Uint8Array): Promise<void>;
  /** Half-close. */
  end(): void;
  /** Ends the call without waiting for its status. Safe to call twice. */
  cancel(): void;
}

const CANCEL = 8; // RFC 9113, section 7
const gone = (): NaruError => new NaruError("unavailable", "the client's session is gone");

interface Told {
  /** The answer's trailers, or its head where nothing else came. */
  fields: Readonly<Record<string, unknown>>;
  failure: unknown;
}

/** Why the other side takes no more: its status, where it gave one; undefined when it has all that it wants. */
const refusal = ({ fields, failure }: Told, path: string): Error | undefined => {
  if (fields["grpc-status"] !== undefined) return errorOfStatus(fields, path);
  return failure instanceof Error ? failure : gone();
};

/** Bytes that wait for whoever reads them; the window of the other side is half of it. */
const WAITING_MAX_BYTES = 2 * 1024 * 1024;

/**
 * Takes what comes as it comes: a server that is done resets the stream, and what Bun 1.4.5 has not handed out by
 * then is lost, its last words among it.
 */
class Arrivals {
  readonly #stream: ClientHttp2Stream;
  readonly #chunks: Uint8Array[] = [];
  #sizeBytes = 0;
  #isOver = false;
  #wake: (() => void) | undefined;

  constructor(stream: ClientHttp2Stream) {
    this.#stream = stream;
    stream.on("data", (chunk: Uint8Array) => {
      this.#chunks.push(chunk);
      this.#sizeBytes += chunk.length;
      if (this.#sizeBytes > WAITING_MAX_BYTES) stream.pause();
      this.#wake?.();
    });
    const end = (): void => {
      this.#isOver = true;
      this.#wake?.();
    };
    stream.once("end", end);
    stream.once("close", end);
  }

  /** undefined at the end. */
  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#sizeBytes -= chunk.length;
        if (this.#sizeBytes < WAITING_MAX_BYTES / 2 && this.#stream.isPaused()) {
          this.#stream.resume();
        }
        return chunk;
      }
      if (this.#isOver) return undefined;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
      this.#wake = undefined;
    }
  }
}

async function* answersOf(
  arrivals: Arrivals,
  path: string,
  told: Told,
): AsyncGenerator<Uint8Array, void> {
  const reader = new FrameReader();
  for (let chunk = await arrivals.next(); chunk !== undefined; chunk = await arrivals.next()) {
    yield* reader.push(chunk);
  }
  // A server that is done resets what the client may still send: its status counts, not that.
  const isTold = told.fields["grpc-status"] !== undefined;
  if (told.failure !== undefined && !isTold) throw told.failure;
  const error = errorOfStatus(told.fields, path);
  if (error !== undefined) throw error;
  reader.end();
}

export class GrpcClient {
  readonly #session: ClientHttp2Session;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;

  constructor(connection: Duplex) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    connection.once("close", resolve);
    this.#session = connect("http://localhost", {
      createConnection: () => connection,
      settings: { initialWindowSize: 1024 * 1024 },
    });
    // Calls that are under way fail by themselves.
    this.#session.on("error", () => resolve());
    this.#session.once("close", resolve);
  }

  stream(path: string, metadata: Metadata, signal: AbortSignal): GrpcStream {
    signal.throwIfAborted();
    if (this.#session.destroyed || this.#session.closed) throw gone();
    const stream = this.#session.request({
      ...metadata,
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    const told: Told = { fields: {}, failure: undefined };
    const arrivals = new Arrivals(stream);
    stream.on("response", (head) => {
      if (head["grpc-status"] !== undefined) told.fields = head;
    });
    stream.on("trailers", (trailers) => {
      told.fields = trailers;
    });
    const cancel = (): void => {
      told.failure ??= signal.aborted ? signal.reason : gone();
      if (!stream.closed) stream.close(CANCEL);
    };
    stream.on("error", () => {
      told.failure ??= gone();
    });
    signal.addEventListener("abort", cancel, { once: true });
    stream.once("close", () => signal.removeEventListener("abort", cancel));
    return {
      messages: answersOf(arrivals, path, told),
      send: messageWriter(stream, () => refusal(told, path)),
      end: () => void stream.end(),
      cancel,
    };
  }

  /** One message, one answer. Throws the call's status as a NaruError. */
  async call(path: string, message: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const stream = this.stream(path, {}, signal);
    await stream.send(message);
    stream.end();
    let answer: Uint8Array | undefined;
    for await (const one of stream.messages) answer ??= one;
    if (answer === undefined) throw new NaruError("data_loss", `"${path}" came without an answer`);
    return answer;
  }

  close(): void {
    this.#session.destroy();
  }
}
