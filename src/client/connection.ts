/**
 * One byte stream to the engine: a unix or TCP socket, with TLS when asked for. Reading pauses the
 * socket when the reader falls behind; writing resolves when the kernel has taken the bytes.
 * Whoever opens a connection closes it.
 */
import type { SshAddress } from "#client/ssh.ts";
import { NaruError } from "#lib/errors.ts";
import type { ErrorCode } from "#lib/errors.ts";

export interface TlsMaterial {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** False with `--tls` and no `--tlsverify`: the server's certificate is taken as it is. */
  readonly isVerified: boolean;
}

export type Address =
  | SshAddress
  | { readonly kind: "unix"; readonly path: string }
  | {
      readonly kind: "tcp";
      readonly hostname: string;
      readonly port: number;
      readonly tls?: TlsMaterial;
    };

/** Above this many unread bytes the socket is paused. */
const READ_HIGH_WATER_BYTES = 1 << 20;

/** What a connection asks of what carries it: a socket, or a process. */
export interface Wire {
  readonly readyState: number;
  /** How many bytes were taken; below zero when it is closed. */
  write(data: Uint8Array): number | Promise<number>;
  pause(): void;
  resume(): void;
  shutdown(): void;
  terminate(): void;
}

export interface WireEvents {
  data(chunk: Uint8Array): void;
  end(): void;
  error(error: Error): void;
}

const codeOf = (error: unknown): string => {
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  return typeof code === "string" ? code : "";
};

export const describeAddress = (address: Address): string => {
  if (address.kind === "unix") return `unix://${address.path}`;
  const { hostname, port } = address;
  if (address.kind === "tcp") return `tcp://${hostname}:${String(port)}`;
  const user = address.user === undefined ? "" : `${address.user}@`;
  return `ssh://${user}${hostname}${port === undefined ? "" : `:${port}`}${address.path ?? ""}`;
};

const connectError = (address: Address, cause: unknown): NaruError => {
  const errno = codeOf(cause);
  const where = describeAddress(address);
  const code: ErrorCode = errno === "EACCES" ? "permission_denied" : "unavailable";
  const reason =
    errno === "ENOENT"
      ? "there is no socket at that path"
      : errno === "EACCES"
        ? "permission denied; run as root or as a member of the socket's group"
        : errno === "ECONNREFUSED"
          ? "nobody listens there"
          : cause instanceof Error
            ? cause.message
            : String(cause);
  const isAway = errno === "ENOENT" || errno === "ECONNREFUSED";
  const remedy = isAway ? "; is the engine running? Start it with 'naru daemon' (as root)" : "";
  return new NaruError(code, `cannot connect to the engine at "${where}": ${reason}${remedy}`, {
    cause,
    details: { errno, address: where },
  });
};

export class Connection {
  #socket: Wire | undefined;
  readonly #chunks: Uint8Array[] = [];
  #queuedBytes = 0;
  #isPaused = false;
  #hasEnded = false;
  #failure: NaruError | undefined;
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;
  #writeTail: Promise<void> = Promise.resolve();

  /** Throws `unavailable` (details.errno) when nobody listens, `permission_denied` on EACCES. */
  static async open(address: Address): Promise<Connection> {
    const connection = new Connection();
    if (address.kind === "ssh") {
      const { openSsh } = await import("#client/ssh.ts");
      connection.#socket = openSsh(address, {
        data: (chunk) => connection.#received(chunk),
        end: () => connection.#ended(),
        error: (error) => connection.#fail(error),
      });
      return connection;
    }
    const place =
      address.kind === "unix"
        ? { unix: address.path }
        : { hostname: address.hostname, port: address.port };
    const tls = address.kind === "tcp" ? address.tls : undefined;
    const socket = connection.#handlers(tls?.isVerified !== false);
    try {
      connection.#socket = await Bun.connect({
        ...place,
        ...(tls === undefined ? {} : { tls: tlsOptions(tls) }),
        allowHalfOpen: true,
        socket,
      } as Bun.TCPSocketConnectOptions<undefined>);
    } catch (error) {
      throw connection.#failure ?? connectError(address, error);
    }
    return connection;
  }

  #handlers(isVerified: boolean): Bun.SocketHandler<undefined> {
    return {
      data: (_socket, data) => this.#received(data),
      end: () => this.#ended(),
      close: () => this.#ended(),
      drain: () => this.#wakeWriter?.(),
      error: (_socket, error) => this.#fail(error),
      connectError: () => undefined,
      handshake: (_socket, _isAuthorized, error) => {
        if (error !== null && isVerified) this.#fail(error);
      },
    };
  }

  #received(data: Uint8Array): void {
    this.#chunks.push(data);
    this.#queuedBytes += data.length;
    if (this.#queuedBytes > READ_HIGH_WATER_BYTES && !this.#isPaused) {
      this.#isPaused = true;
      this.#socket?.pause();
    }
    this.#wakeReader?.();
  }

  #ended(): void {
    this.#hasEnded = true;
    this.#wakeReader?.();
    this.#wakeWriter?.();
  }

  #fail(error: Error): void {
    this.#failure ??= new NaruError("unavailable", `the connection failed: ${error.message}`, {
      cause: error,
    });
    this.#ended();
  }

  /** True when the peer sent its end or the socket is gone: useless for another request. */
  get isEnded(): boolean {
    return this.#hasEnded;
  }

  /** The next bytes, or undefined at the end. One reader at a time. */
  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#queuedBytes -= chunk.length;
        if (this.#isPaused && this.#queuedBytes < READ_HIGH_WATER_BYTES / 2) {
          this.#isPaused = false;
          this.#socket?.resume();
        }
        return chunk;
      }
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#hasEnded) return undefined;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wakeReader = resolve;
      await promise;
      this.#wakeReader = undefined;
    }
  }

  /** Resolves when the kernel holds the bytes; writes keep their order. Throws when closed. */
  write(bytes: Uint8Array | string): Promise<void> {
    const data = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
    const turn = this.#writeTail.then(() => this.#writeAll(data));
    this.#writeTail = turn.catch(() => undefined);
    return turn;
  }

  async #writeAll(data: Uint8Array): Promise<void> {
    for (let offset = 0; offset < data.length;) {
      const socket = this.#socket;
      if (this.#failure !== undefined) throw this.#failure;
      if (socket === undefined || socket.readyState <= 0) {
        throw new NaruError("unavailable", "the engine closed the connection");
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wakeWriter = resolve;
      const taken = socket.write(offset === 0 ? data : data.subarray(offset));
      const written = typeof taken === "number" ? taken : await taken;
      offset += Math.max(written, 0);
      if (written < 0) throw new NaruError("unavailable", "the engine closed the connection");
      if (offset < data.length) await promise;
      this.#wakeWriter = undefined;
    }
  }

  /** Half-close: the peer sees the end of our bytes, its own still arrive. */
  async shutdown(): Promise<void> {
    await this.#writeTail;
    this.#socket?.shutdown();
  }

  close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#ended();
    socket?.terminate();
  }
}

const tlsOptions = (tls: TlsMaterial): Record<string, unknown> => ({
  rejectUnauthorized: tls.isVerified,
  ...(tls.ca === undefined ? {} : { ca: tls.ca }),
  ...(tls.cert === undefined ? {} : { cert: tls.cert }),
  ...(tls.key === undefined ? {} : { key: tls.key }),
});
