/**
 * The first window of all streams may be changed while they are open, and each stream's window then changes by as much
 * (RFC 9113 §6.9.2). Bun 1.4.5 widens only those that are narrower than the new size, to it: what they were allowed
 * beyond the old one is lost. Go's clients widen it whenever they find a connection faster than they thought, and then
 * both sides waited for each other. So what is missing is told behind each change, as if the other side had.
 */
const PREFACE_BYTES = 24;
const FIRST_OF_PREFACE = 0x50; // "PRI *": a frame's length never begins with so much
const HEAD_BYTES = 9;
const SETTINGS = 4;
const WINDOW_UPDATE = 8;
const ACK = 1;
const INITIAL_WINDOW_SIZE = 4;
const FIRST_WINDOW_BYTES = 65_535;
const INCREMENT_MAX = 0x7fff_ffff;
/** Streams that were allowed more, the last ones of a connection: those before them are closed. */
const STREAMS_MAX = 4096;
/** Settings and increments are small; the content of other frames is passed over. */
const BODY_MAX_BYTES = 4096;

const windowUpdate = (id: number, increment: number): Buffer => {
  const frame = Buffer.alloc(HEAD_BYTES + 4);
  frame.writeUIntBE(4, 0, 3);
  frame[3] = WINDOW_UPDATE;
  frame.writeUInt32BE(id, 5);
  frame.writeUInt32BE(increment, HEAD_BYTES);
  return frame;
};

/** undefined where it is not among the settings. The last one counts. */
const firstWindowOf = (body: Buffer): number | undefined => {
  let found: number | undefined;
  for (let at = 0; at + 6 <= body.length; at += 6) {
    if (body.readUInt16BE(at) === INITIAL_WINDOW_SIZE) found = body.readUInt32BE(at + 2);
  }
  return found;
};

interface Stream {
  /** Bytes beyond the first window. */
  allowed: number;
  /** In all, as the runtime reckons. */
  window: number;
}

/** One connection's incoming bytes. */
export class WindowKeeper {
  readonly #streams = new Map<number, Stream>();
  #firstWindow = FIRST_WINDOW_BYTES;
  /** Of the frame that has begun: its head, then its content where that is looked at. */
  #head = Buffer.alloc(0);
  #body = Buffer.alloc(0);
  #leftBytes = 0;
  #skipBytes: number | undefined;

  /** The same bytes, with what has to be told again between them. */
  feed(chunk: Uint8Array): Uint8Array {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const out: Buffer[] = [];
    let from = 0;
    this.#skipBytes ??= bytes[0] === FIRST_OF_PREFACE ? PREFACE_BYTES : 0;
    let at = Math.min(this.#skipBytes, bytes.length);
    this.#skipBytes -= at;
    while (at < bytes.length) {
      at = this.#step(bytes, at);
      if (this.#head.length < HEAD_BYTES || this.#leftBytes > 0) continue;
      const more = this.#ended();
      if (more.length === 0) continue;
      out.push(bytes.subarray(from, at), ...more);
      from = at;
    }
    return out.length === 0 ? chunk : Buffer.concat([...out, bytes.subarray(from)]);
  }

  /** Takes as much of the frame's head or content as there is. Gives the place behind it. */
  #step(bytes: Buffer, at: number): number {
    if (this.#head.length < HEAD_BYTES) {
      const part = bytes.subarray(at, at + HEAD_BYTES - this.#head.length);
      this.#head = Buffer.concat([this.#head, part]);
      if (this.#head.length === HEAD_BYTES) this.#leftBytes = this.#head.readUIntBE(0, 3);
      return at + part.length;
    }
    const part = bytes.subarray(at, at + this.#leftBytes);
    this.#leftBytes -= part.length;
    const type = this.#head[3];
    const isSeen = type === SETTINGS || type === WINDOW_UPDATE;
    if (isSeen && this.#body.length + part.length <= BODY_MAX_BYTES) {
      this.#body = Buffer.concat([this.#body, part]);
    }
    return at + part.length;
  }

  /** A frame is whole. Gives the frames that come behind it. */
  #ended(): readonly Buffer[] {
    const [head, body] = [this.#head, this.#body];
    this.#head = Buffer.alloc(0);
    this.#body = Buffer.alloc(0);
    const [type, flags = 0] = [head[3], head[4]];
    if (type === WINDOW_UPDATE && body.length === 4) this.#allow(head, body);
    const firstWindow = type === SETTINGS && (flags & ACK) === 0 ? firstWindowOf(body) : undefined;
    if (firstWindow === undefined) return [];
    this.#firstWindow = firstWindow;
    return [...this.#streams].flatMap(([id, stream]) => {
      stream.window = Math.max(stream.window, firstWindow);
      const missing = firstWindow + stream.allowed - stream.window;
      if (missing <= 0) return [];
      stream.window += missing;
      return [windowUpdate(id, Math.min(missing, INCREMENT_MAX))];
    });
  }

  #allow(head: Buffer, body: Buffer): void {
    const id = head.readUInt32BE(5) & INCREMENT_MAX;
    if (id === 0) return;
    const bytes = body.readUInt32BE(0) & INCREMENT_MAX;
    const { allowed, window } = this.#streams.get(id) ?? { allowed: 0, window: this.#firstWindow };
    // The one that was allowed something last stands last.
    this.#streams.delete(id);
    this.#streams.set(id, { allowed: allowed + bytes, window: window + bytes });
    const [oldest] = this.#streams.keys();
    if (this.#streams.size > STREAMS_MAX && oldest !== undefined) this.#streams.delete(oldest);
  }
}
