/**
 * One HTTP/1.1 connection: requests one after the other (pipelined ones wait their turn, bounded),
 * keep-alive, 100-continue, half-close, and the way out of HTTP for upgraded streams.
 */
import type { Socket } from "#api/http/socket.ts";
import { type BodyDecoder, createBodyDecoder } from "#spec/http/body-decoder.ts";
import type { ExchangeHandler, LentBody } from "#api/http/exchange.ts";
import type { RequestHead } from "#api/http/head.ts";
import { HeadReader, mayEndHead } from "#api/http/head-reader.ts";
import { HTTP2_HEAD } from "#api/http/http2-preface.ts";
import { closing, HttpExchange } from "#api/http/http-exchange.ts";
import type { Inbound } from "#api/http/inbound.ts";
import { Outbound, type Widen } from "#api/http/outbound.ts";
import { lendSocket } from "#kernel/lend-socket.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";

/** Bytes a client may send ahead of its turn. */
const PIPELINE_LIMIT_BYTES = 64 * 1024;
/** Bytes of an unread body that are worth reading to keep the connection. */
const DISCARD_LIMIT_BYTES = 256 * 1024;
const EMPTY = Buffer.alloc(0);
/** What a client that announced a chunked body sends before it starts to speak raw. */
const LAST_CHUNK = Buffer.from("0\r\n\r\n");

/** `now` is in ticks of the server's clock, the unit of the deadlines. */
export interface ConnectionOptions {
  readonly handler: ExchangeHandler;
  /**
   * For clients that speak HTTP/2 from the first byte on: it hijacks with an empty head, and reads the preface as
   * input. They are refused where it is missing.
   */
  readonly http2?: ExchangeHandler;
  /** Fields of every answer. */
  readonly fields: string;
  readonly logger: Logger;
  /** The error of a request that is not even HTTP, in the API's own form. */
  readonly refusal: (message: string) => { readonly fields: string; readonly body: string };
  readonly isClosing: () => boolean;
  readonly widen?: Widen;
  readonly onRequest?: () => void;
  readonly onClosed: (connection: Connection) => void;
}

/**
 * idle → (head →) exchange → discarding → idle; exchange → raw; any → lingering (our side is
 * closed, what still comes is thrown away) → closed.
 */
export type ConnectionPhase =
  | "idle"
  | "head"
  | "exchange"
  | "discarding"
  | "raw"
  | "lingering"
  | "closed";

export class Connection {
  readonly socket: Socket;
  readonly options: ConnectionOptions;
  readonly outbound: Outbound;
  phase: ConnectionPhase = "idle";
  /** Server ticks since the phase last changed or bytes last arrived; reset here, counted there. */
  idleTicks = 0;
  #pending: Buffer = EMPTY;
  #exchange: HttpExchange | undefined;
  #decoder: BodyDecoder | undefined;
  #discardedBytes = 0;
  #isInputEnded = false;
  #isPumping = false;
  #isWaiting = false;
  #pauses = 0;
  #mayDropLastChunk = false;
  readonly #heads: HeadReader;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.socket = socket;
    this.options = options;
    this.outbound = new Outbound(socket, options.widen);
    this.#heads = new HeadReader(options.http2 !== undefined);
    socket.on("data", (bytes: Buffer) => this.#onData(bytes));
    socket.on("end", () => this.#onEnd());
    // A reset is the client's way of leaving; "close" follows and does the rest.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#onClose());
  }

  get isInputEnded(): boolean {
    return this.#isInputEnded;
  }

  /** Reasons to stop reading are bits: the socket flows when none is set. 4 is for a body that is lent. */
  pause(reason: 1 | 2 | 4): void {
    if (this.#pauses === 0) this.socket.pause();
    this.#pauses |= reason;
  }

  resume(reason: 1 | 2 | 4): void {
    if (this.#pauses === 0) return;
    this.#pauses &= ~reason;
    if (this.#pauses === 0) this.socket.resume();
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** See `Exchange.lendBody`. What is read until then goes its usual way. */
  async lend(): Promise<Omit<LentBody, "early"> | undefined> {
    const [exchange, decoder] = [this.#exchange, this.#decoder];
    if (exchange === undefined || decoder === undefined || decoder.isDone) return undefined;
    this.pause(4);
    const fd = await lendSocket(this.socket);
    if (fd === undefined || decoder.isDone || this.phase !== "exchange") {
      this.resume(4);
      return undefined;
    }
    const giveBack: LentBody["giveBack"] = (rest) => {
      if (this.phase !== "exchange" || this.#exchange !== exchange) return;
      if (rest === "cut short") {
        exchange.abort();
        this.phase = "closed";
        this.destroy();
        return;
      }
      if (rest === "unread") exchange.mustClose = true;
      else this.#pending = Buffer.from(rest);
      this.#decoder = undefined;
      exchange.inbound.end();
      this.resume(4);
    };
    return { fd, state: decoder.state, giveBack };
  }

  /** The server closes: idle connections end, answers without an end are told to; the others go on. */
  windUp(): void {
    if (this.phase === "idle" || this.phase === "head") this.linger();
    else if (this.#exchange?.isEndless === true) this.#exchange.abort(closing());
  }

  /** Closes our side and throws away what still comes, so that no reset eats the answer. */
  linger(): void {
    if (this.phase === "closed" || this.phase === "lingering") return;
    this.phase = "lingering";
    this.idleTicks = 0;
    this.#pending = EMPTY;
    this.resume(1);
    this.resume(2);
    this.socket.end();
  }

  /** Bytes from now on belong to `input`, after the rest of the request's own body. */
  becomeRaw(input: Inbound, isBodyInput: boolean): void {
    this.phase = "raw";
    if (isBodyInput) return;
    const decoder = this.#decoder;
    this.#mayDropLastChunk = this.#exchange?.head.contentLength === undefined;
    if (this.#mayDropLastChunk || decoder?.isDone === true) this.#decoder = undefined;
    const early = this.#pending;
    this.#pending = EMPTY;
    this.resume(2);
    if (early.length > 0) this.#onRaw(early, input);
    if (this.#isInputEnded) input.end();
  }

  #onData(bytes: Buffer): void {
    // A head has one deadline as a whole, or single bytes could hold a connection for ever.
    if (this.phase !== "head") this.idleTicks = 0;
    switch (this.phase) {
      case "idle":
      case "head":
        this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes]);
        if (this.phase === "idle" || mayEndHead(this.#pending, bytes)) this.#pump();
        break;
      case "exchange":
        this.#onBody(bytes);
        break;
      case "discarding":
        this.#onDiscard(bytes);
        break;
      case "raw":
        if (this.#exchange !== undefined) this.#onRaw(bytes, this.#exchange.inbound);
        break;
      case "lingering":
      case "closed":
        break;
    }
  }

  /** Starts requests as long as complete heads wait and none is being answered. */
  #pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      while (this.#pending.length > 0 && (this.phase === "idle" || this.phase === "head")) {
        if (this.outbound.isFull) {
          this.#pumpWhenTaken();
          break;
        }
        const found = this.#heads.read(this.#pending);
        if (found === undefined) {
          this.phase = "head";
          break;
        }
        this.#pending = found.rest;
        this.#start(found.head);
      }
    } catch (error) {
      this.#refuse(error);
    } finally {
      this.#isPumping = false;
    }
  }

  /** Who reads no answers is given no further ones: they would heap up here. */
  #pumpWhenTaken(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.pause(2);
    // Never rejects.
    void this.outbound.drained().then(() => {
      this.#isWaiting = false;
      this.resume(2);
      this.#pump();
    });
  }

  #start(head: RequestHead): void {
    this.phase = "exchange";
    this.options.onRequest?.();
    const exchange = new HttpExchange(head, this);
    this.#exchange = exchange;
    if (head.contentLength === 0) {
      this.#decoder = undefined;
    } else {
      this.#decoder = createBodyDecoder(head.contentLength);
      const early = this.#pending;
      this.#pending = EMPTY;
      if (early.length > 0) this.#onBody(early);
    }
    let result: void | Promise<void>;
    try {
      const { handler, http2 } = this.options;
      result = head === HTTP2_HEAD && http2 !== undefined ? http2(exchange) : handler(exchange);
    } catch (error) {
      this.#fail(exchange, error);
      return;
    }
    if (result === undefined) this.#finish(exchange);
    else
      result.then(
        () => this.#finish(exchange),
        (error: unknown) => this.#fail(exchange, error),
      );
  }

  #onBody(bytes: Buffer): void {
    const exchange = this.#exchange;
    const decoder = this.#decoder;
    let at = 0;
    if (exchange !== undefined && decoder !== undefined && !decoder.isDone) {
      try {
        at = decoder.feed(bytes, 0, (part) => exchange.inbound.push(part));
      } catch (error) {
        exchange.inbound.end(toNaruError(error));
        exchange.mustClose = true;
        return;
      }
      if (decoder.isDone) exchange.inbound.end();
    }
    if (at === bytes.length) return;
    const rest = at === 0 ? bytes : bytes.subarray(at);
    this.#pending = this.#pending.length === 0 ? rest : Buffer.concat([this.#pending, rest]);
    if (this.#pending.length > PIPELINE_LIMIT_BYTES) this.pause(2);
  }

  #onRaw(bytes: Buffer, input: Inbound): void {
    let rest = bytes;
    if (this.#decoder !== undefined && !this.#decoder.isDone) {
      rest = bytes.subarray(this.#decoder.feed(bytes, 0, () => undefined));
    } else if (this.#mayDropLastChunk) {
      this.#mayDropLastChunk = false;
      if (bytes.subarray(0, LAST_CHUNK.length).equals(LAST_CHUNK)) {
        rest = bytes.subarray(LAST_CHUNK.length);
      }
    }
    input.push(rest);
  }

  #onDiscard(bytes: Buffer): void {
    const decoder = this.#decoder;
    this.#discardedBytes += bytes.length;
    if (decoder === undefined) return;
    try {
      const at = decoder.feed(bytes, 0, () => undefined);
      if (decoder.isDone) {
        this.phase = "idle";
        this.#pending = bytes.subarray(at);
        this.#pump();
      } else if (this.#discardedBytes > DISCARD_LIMIT_BYTES) {
        this.linger();
      }
    } catch {
      // The answer is out already; a body that is malformed after it only costs the connection.
      this.linger();
    }
  }

  #onEnd(): void {
    this.#isInputEnded = true;
    const exchange = this.#exchange;
    if (this.phase === "exchange" && exchange !== undefined) {
      const isCut = this.#decoder !== undefined && !this.#decoder.isDone;
      if (isCut) {
        exchange.inbound.end(
          new NaruError("canceled", "the client left before its body was complete"),
        );
      }
      // Who wants to leave HTTP may have said all of its input: that it left altogether is seen by who writes to it.
      if (isCut || exchange.head.upgrade === undefined) exchange.abort();
    } else if (this.phase === "raw") {
      exchange?.inbound.end();
    } else if (this.phase === "lingering") {
      if (this.socket.writableFinished) this.socket.destroy();
    } else {
      this.socket.end();
    }
  }

  #onClose(): void {
    this.phase = "closed";
    this.outbound.abandon();
    this.#exchange?.inbound.end(new NaruError("canceled", "the client closed its connection"));
    this.#exchange?.abort();
    this.options.onClosed(this);
  }

  #finish(exchange: HttpExchange): void {
    if (this.phase === "closed" || this.#exchange !== exchange) return;
    if (this.phase === "raw") {
      exchange.inbound.drop();
      this.linger();
      return;
    }
    if (!exchange.isComplete) {
      const error = exchange.signal.aborted
        ? new NaruError("canceled", "the client left before its answer was complete")
        : new Error("the handler left without a complete answer");
      this.#fail(exchange, error);
      return;
    }
    this.#exchange = undefined;
    exchange.inbound.drop();
    if (exchange.mustClose || this.#isInputEnded || this.options.isClosing()) {
      this.linger();
      return;
    }
    this.resume(2);
    this.idleTicks = 0;
    if (this.#decoder !== undefined && !this.#decoder.isDone) {
      this.phase = "discarding";
      this.#discardedBytes = 0;
      return;
    }
    this.phase = "idle";
    if (this.#pending.length > 0) this.#pump();
  }

  #fail(exchange: HttpExchange, thrown: unknown): void {
    if (this.phase === "closed") return;
    const error = toNaruError(thrown);
    if (error.code !== "canceled") {
      this.options.logger.error("an HTTP handler failed", { path: exchange.head.path, error });
    }
    if (exchange.isAnswered) {
      // Half an answer went out: only a cut connection tells the client.
      this.destroy();
      return;
    }
    const { fields, body } = this.options.refusal(error.message);
    exchange.mustClose = true;
    exchange.answer(500, fields, body);
    this.linger();
  }

  #refuse(thrown: unknown): void {
    const error = toNaruError(thrown);
    const status = error.details["status"];
    const { fields, body } = this.options.refusal(error.message);
    this.phase = "exchange";
    HttpExchange.refuse(this, typeof status === "number" ? status : 400, fields, body);
    this.linger();
  }
}
