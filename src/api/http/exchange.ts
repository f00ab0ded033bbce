/**
 * One request and its answer, as handlers see them. Exactly one of `answer`, `prepared`, `stream`
 * and `hijack` is called once; when the handler's promise settles the exchange must be complete,
 * otherwise the connection is cut so that the client notices.
 */
import type { RequestHead } from "#api/http/head.ts";
import type { Socket } from "#api/http/socket.ts";
import type { BodyState } from "#spec/http/body-decoder.ts";
import type { PreparedAnswer } from "#api/http/prepared.ts";

/** Header fields that are already serialised: "Name: value\r\n" each; "" for none. */
export type FieldText = string;

export interface AnswerStream {
  /** Resolves when the client's side took the bytes. Throws canceled once the client is gone. */
  write(data: string | Uint8Array): Promise<void>;
  /**
   * As `write`, for lines that come in bursts: they go out together by the end of this turn of the event loop. Resolves
   * before; a client that is gone, or does not read, is noticed by a later one.
   */
  writeSoon(line: string): Promise<void>;
  /**
   * Of a counted body: lets `send` put bytes into the connection itself, past this stream. `send` is called at once,
   * with the connection or not at all, and gives how many they were. 0 also when the client is gone.
   */
  pass?(send: (connection: Socket) => number): number;
  end(): void;
}

/** A connection that left HTTP. Half-closes in either direction are kept apart. */
export interface RawConnection {
  /** Ends at the client's half-close, or when it is gone. */
  readonly input: AsyncIterable<Buffer>;
  /** Aborts when the client is gone altogether. */
  readonly signal: AbortSignal;
  /** As AnswerStream.write. */
  write(data: string | Uint8Array): Promise<void>;
  /** Half-close: the client reads end of file, its bytes still arrive. */
  endOutput(): void;
  /** Nobody reads any more: `input` ends, what the client still sends is thrown away. */
  dropInput(): void;
}

/** The rest of a body that another process reads from the connection itself. */
export interface LentBody {
  /** Of the connection, non-blocking. Valid until the next await. */
  readonly fd: number;
  /** Where the framing stands on it. */
  readonly state: BodyState;
  /** What had arrived before, as `body` would have given it. */
  readonly early: readonly Uint8Array[];
  /**
   * The connection is this process's again, and the body is over. `rest`: what was read beyond its end. "unread": its
   * end was not reached, which costs the connection after the answer. "cut short": the client is gone. To be called once.
   */
  giveBack(rest: Uint8Array | "unread" | "cut short"): void;
}

export interface Exchange {
  readonly head: RequestHead;
  /** The answer has begun: its status can no longer be changed. */
  readonly isAnswered: boolean;
  /** Of the answer; undefined before it has begun, and of a hijacked connection. */
  readonly status: number | undefined;
  /** Aborts when the client half-closes or disappears before the answer is complete, or the server closes. */
  readonly signal: AbortSignal;
  /** The other side of a TCP connection: "192.0.2.1"; "" for a unix socket. */
  readonly remoteAddress: string;
  /** True when a body was announced, whatever its length turns out to be. */
  readonly hasBody: boolean;
  /** The body, once, with back-pressure. Throws invalid_argument on framing errors, canceled when cut short. */
  body(): AsyncIterable<Buffer>;
  /**
   * Instead of reading on from `body`: for bulk that a child takes in. Undefined (go on reading) where the connection
   * cannot be lent (TLS), or all of the body is here.
   */
  lendBody(): Promise<LentBody | undefined>;
  /** The whole body; resource_exhausted past `limitBytes`, deadline_exceeded past `timeoutMs`. */
  readBody(limits: { limitBytes: number; timeoutMs: number }): Promise<Buffer>;
  /** A complete answer in one write. Content-Length is added; no body goes out for HEAD, 204, 304. */
  answer(status: number, fields: FieldText, body?: string | Uint8Array): void;
  /** As `answer`, for one made beforehand. */
  prepared(answer: PreparedAnswer): void;
  /**
   * Writes the head at once, then the body in pieces. With `sizeBytes` the body is counted instead of chunked, and
   * exactly so many bytes must be written.
   */
  stream(status: number, fields: FieldText, sizeBytes?: number): AnswerStream;
  /**
   * Says that this answer has no end of its own (a follow, a wait): when the server closes, `signal`
   * aborts at once instead of after the grace period. A hijacked connection is always one.
   */
  endsWithServer(): void;
  /** Writes `headText` (status line and fields, ending in an empty line) and leaves HTTP. */
  hijack(headText: string): RawConnection;
}

export type ExchangeHandler = (exchange: Exchange) => void | Promise<void>;
