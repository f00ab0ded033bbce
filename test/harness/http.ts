/** Raw HTTP on the engine's unix socket: plain requests, streams, and hijacked connections. */
import http from "node:http";
import net from "node:net";

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  readonly text: string;
  /** The body parsed; throws where it is not JSON. */
  json<T = Record<string, unknown>>(): T;
}

export interface ApiOptions {
  readonly body?: unknown;
  /** Bytes sent as they are instead of JSON. */
  readonly raw?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

const payload = (options: ApiOptions): { bytes?: Buffer; type?: string } => {
  if (options.raw !== undefined) {
    return { bytes: Buffer.from(options.raw), type: "application/x-tar" };
  }
  if (options.body === undefined) return {};
  return { bytes: Buffer.from(JSON.stringify(options.body)), type: "application/json" };
};

/** Opens a request and gives the response as soon as its head is there. */
export const open = (
  socketPath: string,
  method: string,
  path: string,
  options: ApiOptions = {},
): Promise<http.IncomingMessage> =>
  new Promise((resolve, reject) => {
    const { bytes, type } = payload(options);
    const request = http.request(
      {
        socketPath,
        method,
        path,
        agent: false,
        headers: {
          Host: "localhost",
          ...(type === undefined ? {} : { "Content-Type": type }),
          ...(bytes === undefined ? {} : { "Content-Length": String(bytes.length) }),
          ...options.headers,
        },
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      },
      resolve,
    );
    request.on("error", reject);
    request.end(bytes);
  });

/** One request to its end. */
export const api = async (
  socketPath: string,
  method: string,
  path: string,
  options: ApiOptions = {},
): Promise<Reply> => {
  const response = await open(socketPath, method, path, options);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const text = body.toString("utf8");
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body,
    text,
    json: <T>() => JSON.parse(text) as T,
  };
};

/** The objects of a newline-delimited JSON stream, as they come. */
export async function* ndjson<T = Record<string, unknown>>(
  response: AsyncIterable<Buffer>,
): AsyncGenerator<T> {
  let rest = "";
  for await (const chunk of response) {
    rest += chunk.toString("utf8");
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield JSON.parse(line) as T;
  }
}

export interface Hijacked {
  readonly status: number;
  readonly head: string;
  write(data: string | Uint8Array): void;
  /** Half-close: no more input from here. */
  end(): void;
  /** Everything received until the other side ends. */
  rest(): Promise<Buffer>;
  /** Waits until what was received so far contains `part`. */
  waitFor(part: string): Promise<void>;
  destroy(): void;
}

/** A connection taken over after the response head, byte for byte (allows half-close). */
export const hijack = (
  socketPath: string,
  method: string,
  path: string,
  options: { body?: unknown; upgrade?: boolean } = {},
): Promise<Hijacked> =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ path: socketPath, allowHalfOpen: true });
    const body = options.body === undefined ? "" : JSON.stringify(options.body);
    const lines = [`${method} ${path} HTTP/1.1`, "Host: localhost"];
    if (options.upgrade !== false) lines.push("Connection: Upgrade", "Upgrade: tcp");
    if (body !== "") lines.push("Content-Type: application/json");
    lines.push(`Content-Length: ${Buffer.byteLength(body)}`, "", body);
    let received = Buffer.alloc(0);
    let head: string | undefined;
    let isEnded = false;
    const wakers = new Set<() => void>();
    const wake = (): void => {
      for (const waker of wakers) waker();
    };
    const next = (): Promise<void> =>
      new Promise((done) => {
        const waker = (): void => {
          wakers.delete(waker);
          done();
        };
        wakers.add(waker);
      });
    const connection = (status: number): Hijacked => ({
      status,
      head: head ?? "",
      write: (data) => void socket.write(data),
      end: () => void socket.end(),
      rest: async () => {
        while (!isEnded) await next();
        return received;
      },
      waitFor: async (part) => {
        while (!received.includes(part)) {
          if (isEnded) throw new Error(`ended without "${part}": ${received.toString()}`);
          await next();
        }
      },
      destroy: () => void socket.destroy(),
    });
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const at = head === undefined ? received.indexOf("\r\n\r\n") : -1;
      if (at >= 0) {
        head = received.subarray(0, at).toString("latin1");
        received = received.subarray(at + 4);
        resolve(connection(Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0)));
      }
      wake();
    });
    socket.on("end", () => {
      isEnded = true;
      wake();
    });
    socket.on("close", () => {
      isEnded = true;
      wake();
    });
    socket.on("error", (error) => {
      isEnded = true;
      wake();
      reject(error);
    });
    socket.write(lines.join("\r\n"));
  });

export interface Frame {
  readonly stream: number;
  readonly data: Buffer;
}

/** Splits a multiplexed stream: 1 byte stream number, 3 zero bytes, 32 bit length, data. */
export const frames = (bytes: Buffer): readonly Frame[] => {
  const list: Frame[] = [];
  for (let at = 0; at < bytes.length;) {
    if (bytes.length - at < 8) throw new Error(`a torn frame header at ${at}`);
    if (bytes.readUIntBE(at + 1, 3) !== 0) throw new Error(`no frame header at ${at}`);
    const length = bytes.readUInt32BE(at + 4);
    const data = bytes.subarray(at + 8, at + 8 + length);
    if (data.length !== length) throw new Error(`a torn frame at ${at}`);
    list.push({ stream: bytes[at] ?? 0, data });
    at += 8 + length;
  }
  return list;
};

/** All data of one stream of a multiplexed body. */
export const streamText = (bytes: Buffer, stream: number): string =>
  Buffer.concat(
    frames(bytes)
      .filter((frame) => frame.stream === stream)
      .map((frame) => frame.data),
  ).toString("utf8");
