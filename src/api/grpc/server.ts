/**
 * The serving side of gRPC on connections that are there already. Messages are bytes here; what they mean is
 * the handlers' business.
 */
import { createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";

import { FrameReader } from "#api/grpc/frame.ts";
import { statusFields } from "#api/grpc/status.ts";
import { messageWriter } from "#api/grpc/write-message.ts";
import { NaruError, hasCode } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";

export interface GrpcCall {
  readonly path: string;
  /** Lower-case names. */
  readonly metadata: Readonly<Record<string, string | string[] | undefined>>;
  /** Aborts when the client cancels or is gone. */
  readonly signal: AbortSignal;
  /** The client's messages; ends at its half-close. */
  readonly messages: AsyncIterable<Uint8Array>;
  /** Resolves when the client's side took it. Throws canceled once the client is gone. */
  send(message: Uint8Array): Promise<void>;
}

/** What it throws becomes the call's status. */
export type GrpcHandler = (call: GrpcCall) => Promise<void>;

async function* messagesOf(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const reader = new FrameReader();
  for await (const chunk of stream) yield* reader.push(chunk);
  reader.end();
}

/** The only message of a call. */
export const readOne = async (call: GrpcCall): Promise<Uint8Array> => {
  let first: Uint8Array | undefined;
  // To the end: who leaves a stream before that resets it.
  for await (const message of call.messages) first ??= message;
  if (first !== undefined) return first;
  throw new NaruError("invalid_argument", `the call "${call.path}" came without a message`);
};

const gone = (): NaruError => new NaruError("canceled", "the client is gone");

const run = async (
  stream: ServerHttp2Stream,
  headers: GrpcCall["metadata"],
  handlerOf: (path: string) => GrpcHandler | undefined,
  fields: Readonly<Record<string, string>>,
  log: Logger,
): Promise<void> => {
  const path = String(headers[":path"] ?? "");
  const abort = new AbortController();
  stream.on("error", () => abort.abort(gone()));
  stream.once("close", () => abort.abort(gone()));
  let failure: unknown;
  stream.once("wantTrailers", () => stream.sendTrailers(statusFields(failure)));
  const head = { ...fields, ":status": 200, "content-type": "application/grpc" };
  stream.respond(head, { waitForTrailers: true });
  try {
    const handler = handlerOf(path);
    if (handler === undefined) {
      throw new NaruError("not_implemented", `"${path}" is not supported by naru`);
    }
    await handler({
      path,
      metadata: headers,
      signal: abort.signal,
      messages: messagesOf(stream),
      send: messageWriter(stream, gone),
    });
  } catch (error) {
    failure = error;
    const isUsers = error instanceof NaruError && error.details["isUsers"] === true;
    if (!abort.signal.aborted && hasCode(error, "internal") && !isUsers) {
      log.error("a gRPC call failed", { path, error });
    }
  }
  if (!stream.destroyed && !stream.closed) stream.end();
};

export class GrpcServer {
  readonly #server: Http2Server;

  /** `fieldsOf` gives fields of each answer's head, in lower case. */
  constructor(
    handlerOf: (path: string) => GrpcHandler | undefined,
    log: Logger,
    fieldsOf: () => Readonly<Record<string, string>> = () => ({}),
  ) {
    this.#server = createServer({ settings: { initialWindowSize: 1024 * 1024 } });
    this.#server.on("sessionError", (error: unknown) => {
      log.debug("a gRPC connection broke", { error });
    });
    this.#server.on("stream", (stream: ServerHttp2Stream, headers: GrpcCall["metadata"]) => {
      // Told to the client as the call's status.
      run(stream, headers, handlerOf, fieldsOf(), log).catch((error: unknown) => {
        log.error("a gRPC call was lost", { error });
        stream.close();
      });
    });
  }

  /**
   * Serves until the connection ends; resolves then. HTTP/2 knows no half of a connection: who ends his has left, as
   * those do who pass on another's (`dial-stdio`).
   */
  async serve(connection: Duplex): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    connection.once("close", resolve);
    connection.once("end", () => connection.destroy());
    this.#server.emit("connection", connection);
    await promise;
  }
}
