/**
 * The server's side of RFC 6455 over a connection that left HTTP: a stream of bytes in, frames out.
 * Message boundaries do not matter here, so frames are passed on as they come and nothing is kept.
 */
import { createHash } from "node:crypto";

import type { Exchange, RawConnection } from "#api/http/exchange.ts";
import { NaruError } from "#lib/errors.ts";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const CONTROL_LIMIT_BYTES = 125;
const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface WebSocketConnection {
  /** Payload bytes of text and binary frames. Ends at a close frame or when the client is gone. */
  readonly input: AsyncIterable<Buffer>;
  readonly signal: AbortSignal;
  write(bytes: Uint8Array): Promise<void>;
  /** Sends a close frame and half-closes. */
  end(): Promise<void>;
  dropInput(): void;
}

const frame = (opcode: number, payload: Uint8Array): Buffer => {
  const size = payload.length;
  const headerSize = size < 126 ? 2 : size < 65_536 ? 4 : 10;
  const bytes = Buffer.allocUnsafe(headerSize + size);
  bytes[0] = 0x80 | opcode;
  if (headerSize === 2) {
    bytes[1] = size;
  } else if (headerSize === 4) {
    bytes[1] = 126;
    bytes.writeUInt16BE(size, 2);
  } else {
    bytes[1] = 127;
    bytes.writeBigUInt64BE(BigInt(size), 2);
  }
  bytes.set(payload, headerSize);
  return bytes;
};

const protocolError = (reason: string): NaruError =>
  new NaruError("invalid_argument", `malformed WebSocket frame: ${reason}`);

/** Bytes of a connection, read in exact amounts. */
class ByteSource {
  readonly #parts: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(input: AsyncIterable<Buffer>) {
    this.#parts = input[Symbol.asyncIterator]();
  }

  /** Between 1 and `limit` bytes; undefined at the end. */
  async some(limit: number): Promise<Buffer | undefined> {
    while (this.#rest.length === 0) {
      const next = await this.#parts.next();
      if (next.done === true) return undefined;
      this.#rest = next.value;
    }
    const taken = this.#rest.subarray(0, limit);
    this.#rest = this.#rest.subarray(taken.length);
    return taken;
  }

  async exactly(size: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    for (let left = size; left > 0;) {
      const part = await this.some(left);
      if (part === undefined) return undefined;
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  }
}

interface FrameHead {
  readonly opcode: number;
  readonly size: number;
  readonly mask: Buffer;
}

const readHead = async (source: ByteSource): Promise<FrameHead | undefined> => {
  const start = await source.exactly(2);
  if (start === undefined) return undefined;
  const [first = 0, second = 0] = start;
  if ((first & 0x70) !== 0) throw protocolError("reserved bits are set");
  if ((second & 0x80) === 0) throw protocolError("a client's frame is not masked");
  let size = second & 0x7f;
  if (size === 126) {
    size = (await source.exactly(2))?.readUInt16BE() ?? 0;
  } else if (size === 127) {
    const long = (await source.exactly(8))?.readBigUInt64BE() ?? 0n;
    if (long > BigInt(Number.MAX_SAFE_INTEGER)) throw protocolError("too long");
    size = Number(long);
  }
  const opcode = first & 0x0f;
  if (opcode >= 8 && size > CONTROL_LIMIT_BYTES) throw protocolError("a control frame is too long");
  const mask = await source.exactly(4);
  return mask === undefined ? undefined : { opcode, size, mask };
};

const unmask = (bytes: Buffer, mask: Buffer, from: number): Buffer => {
  const clear = Buffer.allocUnsafe(bytes.length);
  for (let index = 0; index < bytes.length; index += 1) {
    clear[index] = (bytes[index] ?? 0) ^ (mask[(from + index) & 3] ?? 0);
  }
  return clear;
};

async function* readPayloads(raw: RawConnection): AsyncGenerator<Buffer, void> {
  const source = new ByteSource(raw.input);
  for (;;) {
    const head = await readHead(source);
    if (head === undefined || head.opcode === OPCODE.close) return;
    const isData = head.opcode <= OPCODE.binary;
    const control: Buffer[] = [];
    for (let done = 0; done < head.size;) {
      const part = await source.some(head.size - done);
      if (part === undefined) return;
      const clear = unmask(part, head.mask, done);
      done += part.length;
      if (isData) yield clear;
      else control.push(clear);
    }
    if (head.opcode === OPCODE.ping) await raw.write(frame(OPCODE.pong, Buffer.concat(control)));
    else if (!isData && head.opcode !== OPCODE.pong) throw protocolError("unknown opcode");
  }
}

/** Throws invalid_argument when the request is not a WebSocket handshake (RFC 6455 §4.2.1). */
export const checkWebSocket = (exchange: Exchange): void => {
  const { fields, upgrade } = exchange.head;
  if (upgrade !== "websocket" || !fields.has("sec-websocket-key")) {
    throw new NaruError("invalid_argument", "this endpoint answers WebSocket handshakes only");
  }
  if (fields.get("sec-websocket-version") !== "13") {
    throw new NaruError("invalid_argument", "only WebSocket version 13 is supported");
  }
};

/** Call `checkWebSocket` first. `isBinary` false: output goes out as text frames. */
export const acceptWebSocket = (exchange: Exchange, isBinary: boolean): WebSocketConnection => {
  const key = exchange.head.fields.get("sec-websocket-key") ?? "";
  const accept = createHash("sha1")
    .update(key + GUID)
    .digest("base64");
  const protocol = exchange.head.fields.get("sec-websocket-protocol")?.split(",", 1)[0]?.trim();
  const raw = exchange.hijack(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${accept}\r\n` +
      `${protocol === undefined ? "" : `Sec-WebSocket-Protocol: ${protocol}\r\n`}\r\n`,
  );
  const opcode = isBinary ? OPCODE.binary : OPCODE.text;
  return {
    input: readPayloads(raw),
    signal: raw.signal,
    write: (bytes) => raw.write(frame(opcode, bytes)),
    end: async () => {
      // 1000 = normal closure (§7.4.1).
      await raw.write(frame(OPCODE.close, Buffer.from([0x03, 0xe8])));
      raw.endOutput();
    },
    dropInput: () => raw.dropInput(),
  };
};
