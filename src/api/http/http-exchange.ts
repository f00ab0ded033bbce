/** The exchange of an HTTP/1.1 connection: builds heads, frames bodies. */
import type { Connection } from "#api/http/connection.ts";
import { dateField } from "#api/http/date.ts";
import type { AnswerStream, Exchange, LentBody, RawConnection } from "#api/http/exchange.ts";
import type { RequestHead } from "#api/http/head.ts";
import { Inbound } from "#api/http/inbound.ts";
import type { PreparedAnswer } from "#api/http/prepared.ts";
import { reasonOf } from "#api/http/status-text.ts";
import { invariant, NaruError } from "#lib/errors.ts";

const isBodiless = (status: number): boolean => status === 204 || status === 304 || status < 200;

/** An exchange without a request's body shares this: nothing ever enters it. */
const NO_BODY = new Inbound({ pause: () => undefined, resume: () => undefined });
NO_BODY.end();

export class HttpExchange implements Exchange {
  readonly head: RequestHead;
  readonly #connection: Connection;
  #inbound: Inbound;
  mustClose: boolean;
  isComplete = false;
  status: number | undefined;
  isEndless = false;
  #isAnswered = false;
  #abortReason: NaruError | undefined;
  #controller: AbortController | undefined;
  #isContinuePending: boolean;

  constructor(head: RequestHead, connection: Connection) {
    this.head = head;
    this.#connection = connection;
    this.mustClose = !head.isKeepAlive;
    this.#isContinuePending = head.isContinueExpected && head.contentLength !== 0;
    this.#inbound = head.contentLength === 0 ? NO_BODY : this.#newInbound();
  }

  /** The answer to bytes that are not a request. The connection ends afterwards. */
  static refuse(connection: Connection, status: number, fields: string, body: string): void {
    connection.outbound.write(
      `HTTP/1.1 ${status} ${reasonOf(status)}\r\n${connection.options.fields}${dateField()}${fields}` +
        `Connection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  }

  get inbound(): Inbound {
    return this.#inbound;
  }

  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  get remoteAddress(): string {
    const { socket } = this.#connection;
    return "remoteAddress" in socket && typeof socket.remoteAddress === "string"
      ? socket.remoteAddress
      : "";
  }

  get hasBody(): boolean {
    return this.head.contentLength !== 0;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  abort(reason: NaruError = gone()): void {
    if (this.#abortReason !== undefined) return;
    this.#abortReason = reason;
    this.#controller?.abort(reason);
  }

  body(): AsyncIterable<Buffer> {
    if (this.#isContinuePending) {
      this.#isContinuePending = false;
      if (!this.#isAnswered) this.#connection.outbound.write("HTTP/1.1 100 Continue\r\n\r\n");
    }
    return this.#inbound;
  }

  async lendBody(): Promise<LentBody | undefined> {
    const lent = await this.#connection.lend();
    return lent && { ...lent, early: this.#inbound.takeQueued() };
  }

  async readBody(limits: { limitBytes: number; timeoutMs: number }): Promise<Buffer> {
    const parts: Buffer[] = [];
    let size = 0;
    const announced = this.head.contentLength ?? 0;
    if (announced > limits.limitBytes) throw this.#tooLarge(limits.limitBytes);
    const inbound = this.#inbound;
    this.body();
    const timer = inbound.isEnded
      ? undefined
      : setTimeout(() => {
          this.mustClose = true;
          inbound.end(
            new NaruError("deadline_exceeded", "the request's body did not arrive in time", {
              details: { status: 408 },
            }),
          );
        }, limits.timeoutMs);
    try {
      for await (const part of inbound) {
        size += part.length;
        if (size > limits.limitBytes) throw this.#tooLarge(limits.limitBytes);
        parts.push(part);
      }
    } finally {
      clearTimeout(timer);
    }
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
  }

  answer(status: number, fields: string, body: string | Uint8Array = ""): void {
    const size = typeof body === "string" ? Buffer.byteLength(body) : body.length;
    const length = isBodiless(status) ? "" : `Content-Length: ${size}\r\n`;
    const head = this.#headText(status, `${fields}${length}`);
    const { outbound } = this.#connection;
    if (this.head.method === "HEAD" || isBodiless(status) || size === 0) {
      outbound.write(head);
      this.isComplete = true;
      return;
    }
    outbound.expect(size);
    if (typeof body === "string") {
      outbound.write(head + body);
    } else {
      outbound.write(head);
      outbound.write(body);
    }
    this.isComplete = true;
  }

  prepared(answer: PreparedAnswer): void {
    const { options, outbound } = this.#connection;
    const isPlain = this.head.method !== "HEAD" && this.head.minorVersion === 1;
    if (this.mustClose || this.hasBody || !isPlain || options.isClosing()) {
      this.answer(answer.status, answer.fields, answer.body);
      return;
    }
    invariant(!this.#isAnswered, "an exchange is answered once");
    this.#isAnswered = true;
    this.status = answer.status;
    this.isComplete = true;
    outbound.write(answer.bytes(options.fields));
  }

  stream(status: number, fields: string, sizeBytes?: number): AnswerStream {
    const { outbound } = this.#connection;
    const length = sizeBytes === undefined ? "" : `Content-Length: ${sizeBytes}\r\n`;
    if (this.head.method === "HEAD" || isBodiless(status)) {
      outbound.write(this.#headText(status, `${fields}${length}`));
      const end = (): void => {
        this.isComplete = true;
      };
      const write = (): Promise<void> => Promise.resolve();
      return { write, writeSoon: write, end };
    }
    if (sizeBytes !== undefined)
      return this.#countedStream(status, `${fields}${length}`, sizeBytes);
    const isChunked = this.head.minorVersion === 1;
    if (!isChunked) this.mustClose = true;
    outbound.write(
      this.#headText(status, isChunked ? `${fields}Transfer-Encoding: chunked\r\n` : fields),
    );
    return {
      write: (data) => (isChunked ? outbound.sendChunk(data) : outbound.send(data)),
      writeSoon: (line) => (isChunked ? outbound.sendChunkSoon(line) : outbound.send(line)),
      end: () => {
        if (this.isComplete) return;
        if (isChunked) outbound.write("0\r\n\r\n");
        this.isComplete = true;
      },
    };
  }

  /** A body that ends short of its announced length is left incomplete: the connection is cut. */
  #countedStream(status: number, fields: string, sizeBytes: number): AnswerStream {
    const { outbound } = this.#connection;
    outbound.write(this.#headText(status, fields));
    let left = sizeBytes;
    const write = (data: string | Uint8Array): Promise<void> => {
      left -= typeof data === "string" ? Buffer.byteLength(data) : data.length;
      invariant(left >= 0, "a counted body is not longer than announced");
      return outbound.send(data);
    };
    return {
      write,
      writeSoon: write,
      pass: (send) => {
        const passed = outbound.pass(send);
        left -= passed;
        invariant(left >= 0, "a counted body is not longer than announced");
        return passed;
      },
      end: () => {
        if (left === 0) this.isComplete = true;
      },
    };
  }

  endsWithServer(): void {
    this.isEndless = true;
    if (this.#connection.options.isClosing()) this.abort(closing());
  }

  hijack(headText: string): RawConnection {
    invariant(!this.#isAnswered, "an exchange is answered once");
    this.#isAnswered = true;
    this.isComplete = true;
    this.endsWithServer();
    this.#isContinuePending = false;
    // A chunked body without an upgrade is the only way left to such a client to send its input.
    const isBodyInput = this.head.contentLength === undefined && this.head.upgrade === undefined;
    if (!isBodyInput) this.#inbound = this.#newInbound();
    const connection = this.#connection;
    connection.outbound.write(headText);
    connection.becomeRaw(this.#inbound, isBodyInput);
    return {
      input: this.#inbound,
      signal: this.signal,
      write: (data) => connection.outbound.send(data),
      endOutput: () => void connection.socket.end(),
      dropInput: () => this.#inbound.drop(),
    };
  }

  #newInbound(): Inbound {
    return new Inbound({
      pause: () => this.#connection.pause(1),
      resume: () => this.#connection.resume(1),
    });
  }

  #tooLarge(limitBytes: number): NaruError {
    this.mustClose = true;
    return new NaruError(
      "resource_exhausted",
      `the request's body is larger than the limit of ${limitBytes} bytes`,
      { details: { status: 413 } },
    );
  }

  #headText(status: number, fields: string): string {
    invariant(!this.#isAnswered, "an exchange is answered once");
    this.#isAnswered = true;
    this.status = status;
    // Whether the body of a client that waits for 100 ever comes is unknown: start afresh.
    if (this.#isContinuePending) this.mustClose = true;
    if (this.#connection.options.isClosing()) this.mustClose = true;
    const isKept = !this.mustClose;
    const connection = isKept
      ? this.head.minorVersion === 0
        ? "Connection: keep-alive\r\n"
        : ""
      : "Connection: close\r\n";
    return `HTTP/1.1 ${status} ${reasonOf(status)}\r\n${this.#connection.options.fields}${dateField()}${fields}${connection}\r\n`;
  }
}

const gone = (): NaruError => new NaruError("canceled", "the client closed its connection");

/** The reason an endless answer is cut short for. */
export const closing = (): NaruError => new NaruError("canceled", "the server is stopping");
