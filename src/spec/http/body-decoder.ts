/**
 * Takes a request's body out of the bytes of its connection: a counted body or a chunked one
 * (RFC 9112 §7.1). Chunk extensions are skipped, trailers are read and dropped, both bounded.
 */
import { NaruError } from "#lib/errors.ts";

const LINE_LIMIT_BYTES = 4096;
const TRAILER_LIMIT_BYTES = 16 * 1024;
const CHUNK_SIZE = /^([0-9a-fA-F]{1,13})[ \t]*(?:;[^\r\n]*)?$/;

/** Where a decoder stands, for one in another process. Plain JSON. */
export type BodyState =
  | { readonly kind: "counted"; readonly left: number }
  | {
      readonly kind: "chunked";
      readonly phase: ChunkedPhase;
      readonly left: number;
      readonly line: string;
      readonly trailerBytes: number;
    };

export interface BodyDecoder {
  readonly isDone: boolean;
  readonly state: BodyState;
  /**
   * Hands the body's bytes of `bytes` (from `offset`) to `sink` and returns the offset of the first
   * byte that it did not use; that is the end of `bytes` until the body is done.
   */
  feed(bytes: Buffer, offset: number, sink: (part: Buffer) => void): number;
}

class CountedDecoder implements BodyDecoder {
  #left: number;

  constructor(lengthBytes: number) {
    this.#left = lengthBytes;
  }

  get isDone(): boolean {
    return this.#left === 0;
  }

  get state(): BodyState {
    return { kind: "counted", left: this.#left };
  }

  feed(bytes: Buffer, offset: number, sink: (part: Buffer) => void): number {
    const taken = Math.min(this.#left, bytes.length - offset);
    if (taken > 0) sink(bytes.subarray(offset, offset + taken));
    this.#left -= taken;
    return offset + taken;
  }
}

type ChunkedPhase = "size" | "data" | "data-end" | "trailer" | "done";

class ChunkedDecoder implements BodyDecoder {
  #phase: ChunkedPhase;
  #left: number;
  #line: string;
  #trailerBytes: number;

  constructor(state: Extract<BodyState, { kind: "chunked" }>) {
    this.#phase = state.phase;
    this.#left = state.left;
    this.#line = state.line;
    this.#trailerBytes = state.trailerBytes;
  }

  get isDone(): boolean {
    return this.#phase === "done";
  }

  get state(): BodyState {
    return {
      kind: "chunked",
      phase: this.#phase,
      left: this.#left,
      line: this.#line,
      trailerBytes: this.#trailerBytes,
    };
  }

  feed(bytes: Buffer, offset: number, sink: (part: Buffer) => void): number {
    let at = offset;
    while (at < bytes.length && this.#phase !== "done") {
      if (this.#phase === "data") {
        const taken = Math.min(this.#left, bytes.length - at);
        sink(bytes.subarray(at, at + taken));
        at += taken;
        this.#left -= taken;
        if (this.#left === 0) this.#phase = "data-end";
      } else {
        at = this.#readLine(bytes, at);
      }
    }
    return at;
  }

  #readLine(bytes: Buffer, offset: number): number {
    const newline = bytes.indexOf(10, offset);
    const end = newline < 0 ? bytes.length : newline + 1;
    this.#line += bytes.toString("latin1", offset, end);
    if (this.#line.length > LINE_LIMIT_BYTES) throw malformed("a line is too long");
    if (newline >= 0) {
      if (!this.#line.endsWith("\r\n")) throw malformed("a line does not end with CRLF");
      const line = this.#line.slice(0, -2);
      this.#line = "";
      this.#onLine(line);
    }
    return end;
  }

  #onLine(line: string): void {
    if (this.#phase === "data-end") {
      if (line !== "") throw malformed("a chunk is longer than its size");
      this.#phase = "size";
    } else if (this.#phase === "trailer") {
      this.#trailerBytes += line.length + 2;
      if (this.#trailerBytes > TRAILER_LIMIT_BYTES) throw malformed("the trailers are too long");
      if (line === "") this.#phase = "done";
    } else {
      const size = CHUNK_SIZE.exec(line)?.[1];
      if (size === undefined) throw malformed("a chunk's size is not a hexadecimal number");
      this.#left = Number.parseInt(size, 16);
      this.#phase = this.#left === 0 ? "trailer" : "data";
    }
  }
}

const malformed = (reason: string): NaruError =>
  new NaruError("invalid_argument", `malformed chunked body: ${reason}`, {
    details: { status: 400 },
  });

/** Goes on where another one stood. */
export const resumeBodyDecoder = (state: BodyState): BodyDecoder =>
  state.kind === "counted" ? new CountedDecoder(state.left) : new ChunkedDecoder(state);

/** `contentLength` undefined = chunked. */
export const createBodyDecoder = (contentLength: number | undefined): BodyDecoder =>
  resumeBodyDecoder(
    contentLength === undefined
      ? { kind: "chunked", phase: "size", left: 0, line: "", trailerBytes: 0 }
      : { kind: "counted", left: contentLength },
  );
