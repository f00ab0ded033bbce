/**
 * An HTTP/1.1 server without a listening socket: `daemon/` listens (with `allowHalfOpen: true`, or
 * half-closed streams are cut) and hands each accepted socket to `onConnection`.
 */

import { Connection, type ConnectionOptions, type ConnectionPhase } from "#api/http/connection.ts";
import { ConnectionClock } from "#api/http/connection-clock.ts";
import type { ExchangeHandler } from "#api/http/exchange.ts";
import type { Widen } from "#api/http/outbound.ts";
import type { Socket } from "#api/http/socket.ts";
import { reasonOf } from "#api/http/status-text.ts";
import type { Logger } from "#lib/log.ts";

/** Seconds a connection may stay in a phase without a byte arriving; undefined = for ever. */
const PATIENCE: Readonly<Record<ConnectionPhase, number | undefined>> = {
  idle: 600,
  head: 30,
  exchange: undefined,
  discarding: 30,
  raw: undefined,
  lingering: 30,
  closed: undefined,
};

export interface HttpServerOptions {
  readonly handler: ExchangeHandler;
  /** See ConnectionOptions.http2. */
  readonly http2?: ExchangeHandler;
  /** Fields of every answer, serialised: "Server: x\r\n". */
  readonly fields: string;
  readonly logger: Logger;
  /** How long a connection may wait between requests. Default: ten minutes. */
  readonly idleSeconds?: number;
  /** Used for answers that are larger than a socket's room. */
  readonly widen?: Widen;
  /** Called at the beginning of each request. */
  readonly onRequest?: () => void;
  /** Form of errors that happen before a handler sees the request. Default: plain text. */
  readonly refusal?: ConnectionOptions["refusal"];
}

export interface HttpServer {
  onConnection(socket: Socket): void;
  readonly connectionCount: number;
  /** Idle connections and endless answers end now, the others after their answer, all after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

const plainRefusal: ConnectionOptions["refusal"] = (message) => ({
  fields: "Content-Type: text/plain; charset=utf-8\r\n",
  body: `${message}\n`,
});

/**
 * A half-closed unix socket of `node:net` whose client has gone altogether: the runtime lets go of its handle on
 * the hang-up but tells nobody until the next write (tried with Bun 1.4.5).
 */
const isAbandoned = ({ phase, isInputEnded, socket }: Connection): boolean =>
  phase === "raw" && isInputEnded && "_handle" in socket && socket._handle === null;

export const createHttpServer = (options: HttpServerOptions): HttpServer => {
  const connections = new Set<Connection>();
  let isClosing = false;
  let onEmpty: (() => void) | undefined;

  const patienceOf = (phase: ConnectionPhase): number | undefined =>
    phase === "idle" ? (options.idleSeconds ?? PATIENCE.idle) : PATIENCE[phase];

  const age = (connection: Connection): void => {
    if (isAbandoned(connection)) return connection.destroy();
    // A slow reader that still takes its last bytes is not idle.
    if (connection.phase === "lingering" && connection.socket.writableLength > 0) {
      connection.idleTicks = 0;
      return;
    }
    const patience =
      isClosing && connection.phase === "lingering" ? 1 : patienceOf(connection.phase);
    if (patience === undefined || connection.idleTicks < patience) return;
    if (connection.phase === "head") {
      connection.outbound.write(`HTTP/1.1 408 ${reasonOf(408)}\r\nConnection: close\r\n\r\n`);
      connection.linger();
    } else {
      connection.destroy();
    }
  };
  const clock = new ConnectionClock(connections, age);

  const connectionOptions: ConnectionOptions = {
    handler: options.handler,
    ...(options.http2 === undefined ? {} : { http2: options.http2 }),
    fields: options.fields,
    logger: options.logger,
    refusal: options.refusal ?? plainRefusal,
    ...(options.widen === undefined ? {} : { widen: options.widen }),
    ...(options.onRequest === undefined ? {} : { onRequest: options.onRequest }),
    isClosing: () => isClosing,
    onClosed: (connection) => {
      connections.delete(connection);
      clock.forget(connection);
      if (connections.size === 0) onEmpty?.();
    },
  };

  return {
    onConnection: (socket) => {
      if (isClosing) {
        socket.destroy();
        return;
      }
      connections.add(new Connection(socket, connectionOptions));
      clock.start();
    },
    get connectionCount() {
      return connections.size;
    },
    close: async (graceMs) => {
      isClosing = true;
      for (const connection of connections) connection.windUp();
      if (connections.size === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      onEmpty = resolve;
      const deadline = setTimeout(() => {
        for (const connection of connections) connection.destroy();
      }, graceMs);
      await promise;
      clearTimeout(deadline);
    },
  };
};
