/** Bodies of HTTP/1.1 answers: chunked, of known length, or until the connection ends. */
import type { ByteReader } from "#client/byte-reader.ts";
import { NaruError } from "#lib/errors.ts";

const cutOff = (): NaruError =>
  new NaruError("unavailable", "the engine closed the connection within its answer");

async function* readExactly(reader: ByteReader, length: number): AsyncGenerator<Uint8Array> {
  for (let left = length; left > 0;) {
    const piece = await reader.read(left);
    if (piece === undefined) throw cutOff();
    left -= piece.length;
    yield piece;
  }
}

async function* readChunked(reader: ByteReader): AsyncGenerator<Uint8Array> {
  for (;;) {
    const head = await reader.readLine();
    if (head === undefined) throw cutOff();
    const length = Number.parseInt(head, 16);
    if (Number.isNaN(length)) throw new NaruError("data_loss", `"${head}" is not a chunk length`);
    if (length === 0) {
      for (let line = await reader.readLine(); line; line = await reader.readLine());
      return;
    }
    yield* readExactly(reader, length);
    await reader.readLine();
  }
}

async function* readToEnd(reader: ByteReader): AsyncGenerator<Uint8Array> {
  for (let piece = await reader.read(); piece !== undefined; piece = await reader.read()) {
    yield piece;
  }
}

/** The body's own way to end, and whether the connection can carry another request afterwards. */
export const decodeBody = (
  reader: ByteReader,
  headers: ReadonlyMap<string, string>,
  isEmpty: boolean,
): { readonly pieces: AsyncGenerator<Uint8Array>; readonly isReusable: boolean } => {
  const isKept = headers.get("connection")?.toLowerCase() !== "close";
  if (isEmpty) return { pieces: readExactly(reader, 0), isReusable: isKept };
  if (headers.get("transfer-encoding")?.toLowerCase().includes("chunked") === true) {
    return { pieces: readChunked(reader), isReusable: isKept };
  }
  const length = headers.get("content-length");
  if (length !== undefined) {
    return { pieces: readExactly(reader, Number(length)), isReusable: isKept };
  }
  return { pieces: readToEnd(reader), isReusable: false };
};
