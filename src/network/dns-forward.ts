/**
 * Names that no container has go to the servers of the host, from the host's network. One socket a
 * server, queries told apart by random ids. One that is late is followed by the next without being given up; one
 * that has been silent for a whole try is waited for only briefly until it says something again, so that
 * with dead servers failure is told soon.
 */
import { randomHex } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";

const PORT = 53;
const TRY_MS = 2000;
const SILENT_TRY_MS = 250;
/** The next server is asked too. */
const LATE_MS = 300;
const TCP_MS = 5000;
/** Who asks more at once is told to come again: a bound for the memory of unanswered queries. */
const MAX_PENDING = 4096;
const MAX_MESSAGE_BYTES = 65_535;
const IDLE_MS = 30_000;

interface Pending {
  /** The first two bytes of the query as it came. */
  readonly id: number;
  readonly question: string;
  readonly done: (answer: Uint8Array | undefined) => void;
  readonly timer: NodeJS.Timeout;
}

/** The question section as it stands in the packet, in lower case: an answer must bear the same. */
const questionOf = (bytes: Uint8Array): string => {
  let at = 12;
  while (at < bytes.length && (bytes[at] ?? 0) !== 0) at += (bytes[at] ?? 0) + 1;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    .toString("latin1", 12, Math.min(at + 5, bytes.length))
    .toLowerCase();
};

const idOf = (bytes: Uint8Array): number => ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);

const withId = (bytes: Uint8Array, id: number): Uint8Array => {
  const copy = new Uint8Array(bytes);
  copy[0] = id >>> 8;
  copy[1] = id & 255;
  return copy;
};

type UdpSocket = Bun.udp.ConnectedSocket<"uint8array">;

/** One server: its socket lives while it is used. */
class Upstream {
  readonly #address: string;
  readonly #pending = new Map<number, Pending>();
  #socket: Promise<UdpSocket> | undefined;
  #idle: NodeJS.Timeout | undefined;
  #isSilent = false;

  constructor(address: string) {
    this.#address = address;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /** undefined when no answer came in time, or the server cannot be reached. */
  async ask(query: Uint8Array): Promise<Uint8Array | undefined> {
    let socket: UdpSocket;
    try {
      socket = await (this.#socket ??= this.#open());
    } catch {
      this.#socket = undefined;
      return undefined; // no route to it: the next server is asked
    }
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.close(), IDLE_MS).unref();
    const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
    let id = Number.parseInt(randomHex(2), 16);
    while (this.#pending.has(id)) id = (id + 1) & 0xffff;
    const tryMs = this.#isSilent ? SILENT_TRY_MS : TRY_MS;
    const timer = setTimeout(() => {
      this.#isSilent = true;
      this.#finish(id, undefined);
    }, tryMs).unref();
    this.#pending.set(id, { id: idOf(query), question: questionOf(query), done: resolve, timer });
    socket.send(withId(query, id));
    return await promise;
  }

  close(): void {
    clearTimeout(this.#idle);
    for (const id of this.#pending.keys()) this.#finish(id, undefined);
    const socket = this.#socket;
    this.#socket = undefined;
    void socket?.then((open) => open.close()).catch(() => undefined);
  }

  #open(): Promise<UdpSocket> {
    return Bun.udpSocket({
      connect: { hostname: this.#address, port: PORT },
      binaryType: "uint8array",
      socket: {
        data: (_socket, bytes) => {
          this.#isSilent = false;
          const waiting = this.#pending.get(idOf(bytes));
          if (waiting === undefined || questionOf(bytes) !== waiting.question) return;
          this.#finish(idOf(bytes), withId(bytes, waiting.id));
        },
        // "Connection refused" comes this way: those who wait go on to the next server.
        error: () => {
          for (const id of this.#pending.keys()) this.#finish(id, undefined);
        },
      },
    });
  }

  #finish(id: number, answer: Uint8Array | undefined): void {
    const waiting = this.#pending.get(id);
    if (waiting === undefined) return;
    this.#pending.delete(id);
    clearTimeout(waiting.timer);
    waiting.done(answer);
  }
}

/** One query over one TCP connection; lengths go before messages (RFC 1035 4.2.2). */
const askByTcp = async (address: string, query: Uint8Array): Promise<Uint8Array> => {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  let received = Buffer.alloc(0);
  const framed = Buffer.concat([Buffer.from([query.length >>> 8, query.length & 255]), query]);
  const ended = new NaruError("unavailable", `name server "${address}" hung up`);
  const timer = setTimeout(() => reject(ended), TCP_MS).unref();
  const socket = await Bun.connect({
    hostname: address,
    port: PORT,
    socket: {
      open: (open) => void open.write(framed),
      data: (_open, bytes) => {
        received = Buffer.concat([received, bytes]);
        if (received.length > MAX_MESSAGE_BYTES + 2) return reject(ended);
        const size = received.length < 2 ? Number.POSITIVE_INFINITY : received.readUInt16BE(0);
        if (received.length >= size + 2) resolve(received.subarray(2, size + 2));
      },
      close: () => reject(ended),
      error: (_open, error) => reject(error),
    },
  });
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.end();
  }
};

export class DnsForwarder {
  readonly #upstreams = new Map<string, Upstream>();

  /** The first answer of these servers, in order; undefined when there is none. Never rejects. */
  async ask(
    servers: readonly string[],
    query: Uint8Array,
    isTcp: boolean,
  ): Promise<Uint8Array | undefined> {
    const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
    let asked = 0;
    let silent = 0;
    let timer: NodeJS.Timeout | undefined;
    const next = (): void => {
      clearTimeout(timer);
      const server = servers[asked];
      if (server === undefined) return;
      asked += 1;
      timer = setTimeout(next, LATE_MS).unref();
      const answer = isTcp ? this.#byTcp(server, query) : this.#byUdp(server, query);
      void answer.then((bytes) => {
        if (bytes !== undefined) return resolve(bytes);
        silent += 1;
        return silent === servers.length ? resolve(undefined) : next();
      });
    };
    next();
    const answer = servers.length === 0 ? undefined : await promise;
    clearTimeout(timer);
    return answer;
  }

  close(): void {
    for (const upstream of this.#upstreams.values()) upstream.close();
    this.#upstreams.clear();
  }

  async #byUdp(server: string, query: Uint8Array): Promise<Uint8Array | undefined> {
    const upstream = this.#upstreams.get(server) ?? new Upstream(server);
    this.#upstreams.set(server, upstream);
    return upstream.pendingCount >= MAX_PENDING ? undefined : await upstream.ask(query);
  }

  async #byTcp(server: string, query: Uint8Array): Promise<Uint8Array | undefined> {
    try {
      return await askByTcp(server, query);
    } catch (error) {
      toNaruError(error); // silence or a refusal: the next server is asked, then failure is told
      return undefined;
    }
  }
}
