/**
 * A small HTTP/1.1 client over one engine address. Streaming both ways at once, upgrade, abort, and
 * connections kept for the next request. Knows nothing of Docker beyond that.
 */
import { decodeBody } from "#client/body.ts";
import { ByteReader } from "#client/byte-reader.ts";
import { Connection } from "#client/connection.ts";
import type { Address } from "#client/connection.ts";
import { monotonicMs, sleep } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";

export type Method = "GET" | "HEAD" | "POST" | "PUT" | "DELETE";

export interface HttpRequest {
  readonly method: Method;
  /** Path and query, encoded. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
}

export interface HttpResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** To be read to its end or cancelled; then the connection is free again. */
  readonly body: AsyncIterable<Uint8Array>;
  text(): Promise<string>;
  /** Drops the rest of the body and its connection. */
  cancel(): void;
}

/** What an upgraded (101) or taken-over (200 raw) connection carries from then on. */
export interface Upgraded {
  readonly headers: ReadonlyMap<string, string>;
  readonly reader: ByteReader;
  readonly connection: Connection;
}

/** Servers close idle connections at their own time; an older one is not worth the risk. */
const IDLE_LIMIT_MS = 1500;

/** The socket of an engine that was killed takes connections for a moment longer, and answers none. */
const ENDING = { tries: 4, pauseMs: 25 };

const isHarmless = ({ method }: HttpRequest): boolean => method === "GET" || method === "HEAD";

interface Head {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

const readHead = async (reader: ByteReader): Promise<Head | undefined> => {
  for (;;) {
    const statusLine = await reader.readLine();
    if (statusLine === undefined) return undefined;
    const status = Number(statusLine.split(" ", 2)[1]);
    if (!statusLine.startsWith("HTTP/1.") || Number.isNaN(status)) {
      throw new NaruError("data_loss", `what answers is not HTTP: "${statusLine.slice(0, 60)}"`);
    }
    const headers = new Map<string, string>();
    for (let line = await reader.readLine(); line; line = await reader.readLine()) {
      const colon = line.indexOf(":");
      headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
    }
    if (status !== 100) return { status, headers };
  }
};

const formatHead = (request: HttpRequest, extra: Readonly<Record<string, string>>): string => {
  const lines = [`${request.method} ${request.path} HTTP/1.1`, "Host: naru"];
  for (const [name, value] of Object.entries({ ...extra, ...request.headers })) {
    lines.push(`${name}: ${value}`);
  }
  return `${lines.join("\r\n")}\r\n\r\n`;
};

const isStream = (body: HttpRequest["body"]): body is AsyncIterable<Uint8Array> =>
  typeof body === "object" && Symbol.asyncIterator in body;

/** Why a request's body was not sent whole. */
interface Unsent {
  readonly error: unknown;
  /** Its source failed; else the connection did, and the server may have said why. */
  readonly isSource: boolean;
}

/** `onFailure` is told of what the source throws, and of nothing else. */
async function* watched(
  body: AsyncIterable<Uint8Array>,
  onFailure: () => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* body;
  } catch (error) {
    onFailure();
    throw error;
  }
}

/** Ends early, without an error, when the server answered before it wanted the whole body. */
const pumpBody = async (
  connection: Connection,
  body: AsyncIterable<Uint8Array>,
  isAnswered: () => boolean,
): Promise<void> => {
  for await (const piece of body) {
    if (isAnswered() && connection.isEnded) return;
    if (piece.length === 0) continue;
    await connection.write(`${piece.length.toString(16)}\r\n`);
    await connection.write(piece);
    await connection.write("\r\n");
  }
  await connection.write("0\r\n\r\n");
};

/** `sent` resolves to what ended the sending early, if anything: it is told, not thrown. */
const sendAndReadHead = async (
  connection: Connection,
  reader: ByteReader,
  request: HttpRequest,
): Promise<{ head: Head | undefined; sent: Promise<Unsent | undefined> }> => {
  const { body } = request;
  if (!isStream(body)) {
    const length = body === undefined ? 0 : Buffer.byteLength(body);
    const hasLength = length > 0 || request.method === "POST" || request.method === "PUT";
    const text = formatHead(request, hasLength ? { "Content-Length": String(length) } : {});
    const bytes = typeof body === "object" ? Buffer.concat([Buffer.from(text), body]) : text;
    const sent = connection.write(typeof body === "string" ? `${text}${body}` : bytes).then(
      () => undefined,
      (error: unknown) => ({ error, isSource: false }),
    );
    return { head: await readHead(reader), sent };
  }
  let isAnswered = false;
  let isSource = false;
  const source = watched(body, () => void (isSource = true));
  const sent = connection
    .write(formatHead(request, { "Transfer-Encoding": "chunked" }))
    .then(() => pumpBody(connection, source, () => isAnswered))
    .then(
      () => undefined,
      (error: unknown) => ({ error, isSource }),
    );
  const answer = readHead(reader).finally(() => {
    isAnswered = true;
  });
  answer.catch(() => undefined);
  // A server that refuses half-way says why in its answer; only a failed source of ours is thrown.
  const head = await Promise.race([
    answer,
    sent.then((unsent) => {
      if (unsent === undefined || connection.isEnded) return answer;
      throw toNaruError(unsent.error);
    }),
  ]);
  return { head, sent };
};

const abortReason = (signal: AbortSignal): NaruError =>
  signal.reason instanceof NaruError
    ? signal.reason
    : new NaruError("canceled", "the request was canceled", { cause: signal.reason });

export class HttpClient {
  readonly address: Address;
  readonly #dial: (address: Address) => Promise<Connection>;
  readonly #idle: { connection: Connection; sinceMs: number }[] = [];

  /** `dial` may do more than open: start the engine first, for one. */
  constructor(
    address: Address,
    dial: (address: Address) => Promise<Connection> = Connection.open.bind(Connection),
  ) {
    this.address = address;
    this.#dial = dial;
  }

  async #connect(): Promise<{ connection: Connection; isFresh: boolean }> {
    for (let kept = this.#idle.pop(); kept !== undefined; kept = this.#idle.pop()) {
      if (!kept.connection.isEnded && monotonicMs() - kept.sinceMs < IDLE_LIMIT_MS) {
        return { connection: kept.connection, isFresh: false };
      }
      kept.connection.close();
    }
    return { connection: await this.#dial(this.address), isFresh: true };
  }

  /** Answers of any status are returned; only a failed connection or an abort throws. */
  async request(request: HttpRequest): Promise<HttpResponse> {
    for (let freshTries = 1; ;) {
      request.signal?.throwIfAborted();
      const { connection, isFresh } = await this.#connect();
      const response = await this.#exchange(connection, request);
      if (response !== undefined) return response;
      connection.close();
      // A kept connection that the server had closed meanwhile: nothing was answered, so once more.
      const mayAsk = isFresh ? isHarmless(request) && freshTries < ENDING.tries : true;
      if (!mayAsk || isStream(request.body)) {
        throw new NaruError("unavailable", "the engine closed the connection without an answer");
      }
      if (!isFresh) continue;
      freshTries += 1;
      await sleep(ENDING.pauseMs);
    }
  }

  async #exchange(connection: Connection, request: HttpRequest): Promise<HttpResponse | undefined> {
    const { signal } = request;
    const onAbort = (): void => connection.close();
    signal?.addEventListener("abort", onAbort, { once: true });
    const release = (isReusable: boolean): void => {
      signal?.removeEventListener("abort", onAbort);
      if (isReusable && !connection.isEnded) {
        this.#idle.push({ connection, sinceMs: monotonicMs() });
      } else {
        connection.close();
      }
    };
    try {
      const reader = new ByteReader(connection);
      const { head, sent } = await sendAndReadHead(connection, reader, request);
      if (head === undefined) {
        if (signal?.aborted === true) throw abortReason(signal);
        return undefined;
      }
      return this.#response(request, reader, head, sent, release, connection);
    } catch (error) {
      connection.close();
      if (signal?.aborted === true) throw abortReason(signal);
      throw error;
    }
  }

  #response(
    request: HttpRequest,
    reader: ByteReader,
    head: Head,
    sent: Promise<Unsent | undefined>,
    release: (isReusable: boolean) => void,
    connection: Connection,
  ): HttpResponse {
    const { status, headers } = head;
    const isEmpty = request.method === "HEAD" || status === 204 || status === 304;
    const { pieces, isReusable } = decodeBody(reader, headers, isEmpty);
    let failure: unknown;
    void sent.then((unsent) => {
      // The server has begun to answer, and waits for what will not come: it learns so by the connection's end.
      if (unsent?.isSource !== true) return;
      failure = unsent.error;
      connection.close();
    });
    const reasonOf = (error: unknown): unknown =>
      failure === undefined ? error : toNaruError(failure);
    const body = guarded(pieces, request.signal, reasonOf, async (isComplete) => {
      // A body whose answer broke off may wait for something that never comes.
      const isSent = isComplete && (!isStream(request.body) || (await sent) === undefined);
      release(isReusable && isSent);
    });
    return {
      status,
      headers,
      body,
      text: async () => {
        const parts: Uint8Array[] = [];
        for await (const piece of body) parts.push(piece);
        return (
          parts.length === 1 && parts[0] ? Buffer.from(parts[0]) : Buffer.concat(parts)
        ).toString("utf8");
      },
      cancel: () => connection.close(),
    };
  }

  /**
   * Takes the connection over after the request. The answer is either an upgrade, or an ordinary
   * response (an error) to be read as such.
   */
  async upgrade(
    request: HttpRequest & { readonly body?: string },
  ): Promise<Upgraded | HttpResponse> {
    const connection = await this.#dial(this.address);
    const onAbort = (): void => connection.close();
    request.signal?.addEventListener("abort", onAbort, { once: true });
    try {
      const reader = new ByteReader(connection);
      const body = request.body ?? "";
      const head = formatHead(request, {
        Connection: "Upgrade",
        Upgrade: "tcp",
        "Content-Length": String(Buffer.byteLength(body)),
      });
      await connection.write(head + body);
      const answer = await readHead(reader);
      if (answer === undefined) {
        throw new NaruError("unavailable", "the engine closed the connection without an answer");
      }
      if (answer.status === 101 || answer.status === 200) {
        return { headers: answer.headers, reader, connection };
      }
      const release = (): void => connection.close();
      return this.#response(
        request,
        reader,
        answer,
        Promise.resolve(undefined),
        release,
        connection,
      );
    } catch (error) {
      connection.close();
      if (request.signal?.aborted === true) throw abortReason(request.signal);
      throw error;
    }
  }

  /** Closes what is kept for later. */
  close(): void {
    for (const { connection } of this.#idle.splice(0)) connection.close();
  }
}

async function* guarded(
  pieces: AsyncGenerator<Uint8Array>,
  signal: AbortSignal | undefined,
  reasonOf: (error: unknown) => unknown,
  onEnd: (isComplete: boolean) => Promise<void>,
): AsyncGenerator<Uint8Array> {
  let isComplete = false;
  try {
    yield* pieces;
    isComplete = true;
  } catch (error) {
    if (signal?.aborted === true) throw abortReason(signal);
    throw reasonOf(error);
  } finally {
    await onEnd(isComplete);
  }
  if (signal?.aborted === true) throw abortReason(signal);
}
