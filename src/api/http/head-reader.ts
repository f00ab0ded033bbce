/** Finds the heads of requests in a connection's bytes, and says what is no HTTP at all. */
import { HEAD_LIMIT_BYTES, parseHead, type RequestHead } from "#api/http/head.ts";
import { HTTP2_HEAD, HTTP2_PREFACE } from "#api/http/http2-preface.ts";
import { NaruError } from "#lib/errors.ts";

const HEAD_END = Buffer.from("\r\n\r\n");
/** RFC 9112 §2.2: a single LF may end a line, as hand-written requests have it; an empty line ends the head either way. */
const BARE_HEAD_ENDS = ["\n\n", "\n\r\n"].map((text) => Buffer.from(text));

/** The first of them, as place and length. */
const findBareEnd = (bytes: Buffer, from: number): { at: number; length: number } | undefined =>
  BARE_HEAD_ENDS.map((end) => ({ at: bytes.indexOf(end, from), length: end.length }))
    .filter(({ at }) => at >= 0)
    .toSorted((a, b) => a.at - b.at)[0];
const CARRIAGE_RETURN = 13;
const LINE_FEED = 10;
/** The first byte of a TLS connection (RFC 8446 §5.1, ContentType handshake). */
const TLS_HANDSHAKE = 22;
const EMPTY = Buffer.alloc(0);

export interface FoundHead {
  readonly head: RequestHead;
  /** What follows it. */
  readonly rest: Buffer;
}

const notHttp = (): NaruError =>
  new NaruError("invalid_argument", "this is a plain HTTP server: it does not speak TLS", {
    details: { status: 400 },
  });

const headTooLong = (): NaruError =>
  new NaruError("invalid_argument", "the request head is too long", { details: { status: 431 } });

/** Whether it is worth another look: `arrived` are the last of `pending`. */
export const mayEndHead = (pending: Buffer, arrived: Buffer): boolean =>
  arrived.includes(LINE_FEED) || pending.length > HEAD_LIMIT_BYTES;

/** Of one connection: the first head alone may be HTTP/2's preface. */
export class HeadReader {
  readonly #isHttp2Spoken: boolean;
  #isFirst = true;
  #last: { readonly bytes: Buffer; readonly found: FoundHead } | undefined;

  constructor(isHttp2Spoken: boolean) {
    this.#isHttp2Spoken = isHttp2Spoken;
  }

  /**
   * The head that `pending` begins with; undefined while it is not whole. HTTP/2's preface stands for a head and
   * stays in `rest`. Throws `invalid_argument` with `details.status`.
   */
  read(pending: Buffer): FoundHead | undefined {
    const last = this.#last;
    // Clients repeat themselves (pings, polling): the same bytes mean the same head.
    if (last !== undefined && last.bytes.length === pending.length && last.bytes.equals(pending)) {
      return last.found;
    }
    let from = 0;
    // RFC 9112 §2.2: an empty line before the request line is skipped.
    while (pending[from] === CARRIAGE_RETURN && pending[from + 1] === LINE_FEED && from < 4) {
      from += 2;
    }
    const end = pending.indexOf(HEAD_END, from);
    // Without the end itself: "\r\n\r\n" ends in one of the bare ends.
    const bare = findBareEnd(end < 0 ? pending : pending.subarray(0, end), from);
    if (bare !== undefined) return this.#readBare(pending, from, bare.at, bare.length);
    if (end < 0) {
      // Clients that try TLS first wait for an answer to their hello: any will do, at once.
      if (pending[from] === TLS_HANDSHAKE) throw notHttp();
      if (pending.length > HEAD_LIMIT_BYTES) throw headTooLong();
      return undefined;
    }
    if (end - from > HEAD_LIMIT_BYTES) throw headTooLong();
    if (this.#isHttp2Spoken && this.#isFirst && pending.indexOf(HTTP2_PREFACE) === 0) {
      return { head: HTTP2_HEAD, rest: pending };
    }
    this.#isFirst = false;
    const head = parseHead(pending.toString("latin1", from, end));
    const isWhole = from === 0 && end + 4 === pending.length && head.contentLength === 0;
    const found = { head, rest: isWhole ? EMPTY : pending.subarray(end + 4) };
    this.#last = isWhole && head.upgrade === undefined ? { bytes: pending, found } : undefined;
    return found;
  }

  #readBare(pending: Buffer, from: number, end: number, endLength: number): FoundHead {
    if (end - from > HEAD_LIMIT_BYTES) throw headTooLong();
    this.#isFirst = false;
    this.#last = undefined;
    const text = pending.toString("latin1", from, end).replaceAll(/\r?\n/g, "\r\n");
    return { head: parseHead(text.replace(/\r$/, "")), rest: pending.subarray(end + endLength) };
  }
}
