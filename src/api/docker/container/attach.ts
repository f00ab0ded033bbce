/** POST /containers/{id…}/attach (the connection is hijacked) and GET /containers/{id…}/attach/ws. */
import type { Call } from "#api/docker/call.ts";
import { RAW_STREAM, streamContentType } from "#api/docker/multiplex.ts";
import { get, post, type Route } from "#api/docker/route.ts";
import { pumpStdio, type StdioClient } from "#api/docker/stdio-pump.ts";
import type { RawConnection } from "#api/http/exchange.ts";
import { acceptWebSocket, checkWebSocket } from "#api/http/websocket.ts";
import type { StdioSession } from "#container/containers.ts";
import { sleep } from "#lib/clock.ts";

/** Leaves HTTP: 101 for those who asked for an upgrade, a 200 without end for older clients. */
export const hijackStdio = (call: Call, isTty: boolean): RawConnection => {
  const { exchange, minor } = call;
  return exchange.hijack(
    exchange.head.upgrade === undefined
      ? `HTTP/1.1 200 OK\r\nContent-Type: ${RAW_STREAM}\r\n\r\n`
      : `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${streamContentType(isTty, minor)}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`,
  );
};

/** Docker's SDK for Python, and what was built on it. */
const READS_PAST_THE_HEAD = /^(?:docker-sdk-python|docker-py|docker-compose\/1\.)/;
const APART_MS = 20;

/**
 * Python's SDK throws away what came together with the answer's head: it reads on below the buffer that
 * the head was read into. Against an engine that takes longer to its first byte nobody notices.
 */
const apart = (call: Call): Promise<void> | undefined =>
  READS_PAST_THE_HEAD.test(call.field("user-agent") ?? "")
    ? sleep(APART_MS, call.signal)
    : undefined;

/** Hijacks, for the life of a stdio session. */
export const rawClient = (call: Call, isTty: boolean): StdioClient => {
  const raw = hijackStdio(call, isTty);
  const pause = apart(call);
  // A client that left meanwhile is noticed by who writes.
  pause?.catch(() => undefined);
  return {
    input: raw.input,
    signal: raw.signal,
    write:
      pause === undefined
        ? (bytes) => raw.write(bytes)
        : (bytes) => pause.then(() => raw.write(bytes)),
    end: async () => {
      await pause;
      raw.endOutput();
    },
    dropInput: () => raw.dropInput(),
  };
};

const open = async (call: Call, isAllByDefault: boolean): Promise<StdioSession> => {
  const { query } = call;
  const wants = (name: string): boolean => isAllByDefault || query.flag(name);
  const session = await call.backend.containers.attach(call.name, {
    logs: query.flag("logs"),
    stream: query.flag("stream"),
    stdin: wants("stdin"),
    stdout: wants("stdout"),
    stderr: wants("stderr"),
    detachKeys: query.text("detachKeys"),
  });
  if (call.signal.aborted) session.close();
  return session;
};

const attach = async (call: Call): Promise<void> => {
  const session = await open(call, false);
  await pumpStdio(rawClient(call, session.isTty), session, {
    isMultiplexed: !session.isTty,
    hasStdin: call.query.flag("stdin"),
    logger: call.backend.logger,
  });
};

/** Never multiplexed: a WebSocket client sees stdout and stderr as one. */
const attachWebSocket = async (call: Call): Promise<void> => {
  checkWebSocket(call.exchange);
  // Before 1.42 all three streams were attached whatever was asked.
  const isAll = call.minor < 42;
  const session = await open(call, isAll);
  await pumpStdio(acceptWebSocket(call.exchange, call.minor >= 28), session, {
    isMultiplexed: false,
    hasStdin: isAll || call.query.flag("stdin"),
    logger: call.backend.logger,
  });
};

export const attachRoutes: readonly Route[] = [
  post("/containers/{id…}/attach", attach),
  get("/containers/{id…}/attach/ws", attachWebSocket),
];
