/** Lines and pieces out of a stream of chunks, without copying what was not asked for. */
import type { Connection } from "#client/connection.ts";
import { NaruError } from "#lib/errors.ts";

const LINE_LIMIT_BYTES = 64 * 1024;
const NEWLINE = 10;
const EMPTY = new Uint8Array(0);

export class ByteReader {
  readonly #connection: Connection;
  #chunk: Uint8Array = EMPTY;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Up to `limit` bytes as they come, undefined at the end. */
  async read(limit = Number.MAX_SAFE_INTEGER): Promise<Uint8Array | undefined> {
    if (this.#chunk.length === 0) {
      const chunk = await this.#connection.read();
      if (chunk === undefined) return undefined;
      this.#chunk = chunk;
    }
    const piece = this.#chunk.subarray(0, limit);
    this.#chunk = this.#chunk.length > limit ? this.#chunk.subarray(limit) : EMPTY;
    return piece;
  }

  /** One line without its CRLF; undefined when the stream ends before any byte. */
  async readLine(): Promise<string | undefined> {
    let line = "";
    for (;;) {
      const piece = await this.read();
      if (piece === undefined) {
        if (line === "") return undefined;
        throw new NaruError("unavailable", "the engine closed the connection within its answer");
      }
      const at = piece.indexOf(NEWLINE);
      if (at < 0) {
        line += Buffer.from(piece).toString("latin1");
      } else {
        line += Buffer.from(piece.buffer, piece.byteOffset, at).toString("latin1");
        this.#putBack(piece.subarray(at + 1));
        return line.endsWith("\r") ? line.slice(0, -1) : line;
      }
      if (line.length > LINE_LIMIT_BYTES) {
        throw new NaruError("data_loss", "the engine's answer has a line of more than 64 KiB");
      }
    }
  }

  /** Only directly after a read: the piece goes before what is still there. */
  #putBack(piece: Uint8Array): void {
    this.#chunk = this.#chunk.length === 0 ? piece : Buffer.concat([piece, this.#chunk]);
  }
}
