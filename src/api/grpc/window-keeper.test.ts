import { expect, test } from "bun:test";

import { duplexOf } from "#api/grpc/duplex.ts";
import { GrpcServer, readOne } from "#api/grpc/server.ts";
import { WindowKeeper } from "#api/grpc/window-keeper.ts";
import { silentLogger } from "#lib/log.ts";

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const [DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE] = [0, 1, 4, 6, 8];
const [ACK, END_STREAM, END_HEADERS] = [1, 1, 4];

const frame = (type: number, flags: number, id: number, body: Uint8Array): Buffer => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, body]);
};
const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const allow = (id: number, bytes: number): Buffer => frame(WINDOW_UPDATE, 0, id, number(bytes));
const firstWindow = (bytes: number): Buffer =>
  frame(SETTINGS, 0, 0, Buffer.concat([Buffer.from([0, 4]), number(bytes)]));

const fed = (bytes: Buffer, step: number): Buffer => {
  const keeper = new WindowKeeper();
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += step)
    parts.push(keeper.feed(bytes.subarray(at, at + step)));
  return Buffer.concat(parts);
};

test("what a change of the first window takes away is told behind it, however the bytes come", () => {
  const before = [
    frame(SETTINGS, 0, 0, Buffer.alloc(0)),
    firstWindow(65_535),
    allow(0, 7),
    allow(3, 100),
    frame(DATA, 0, 1, Buffer.alloc(50_000, 4)),
    allow(5, 40),
    allow(3, 9_900),
    firstWindow(70_000),
  ];
  const after = [frame(SETTINGS, ACK, 0, Buffer.alloc(0)), frame(PING, 0, 0, Buffer.alloc(8, 8))];
  // To 70,040 and 80,000; the runtime has 70,000 and 75,535.
  const again = [allow(5, 40), allow(3, 4_465)];
  for (const preface of [[PREFACE], []]) {
    const given = Buffer.concat([...preface, ...before, ...after]);
    const wanted = Buffer.concat([...preface, ...before, ...again, ...after]);
    for (const step of [1, 2, 9, 13, 1000, given.length]) {
      expect(fed(given, step).equals(wanted)).toBe(true);
    }
  }
});

/** A client by hand: it says what it allows, and counts what comes. */
const byHand = () => {
  const server = new GrpcServer(
    () => async (call) => {
      await readOne(call);
      await call.send(Buffer.alloc(2_000_000));
    },
    silentLogger,
  );
  const waiting: Buffer[] = [];
  let wake = (): void => undefined;
  let received = Buffer.alloc(0);
  const seen = { dataBytes: 0, pongs: 0 };
  const take = (bytes: Uint8Array): void => {
    received = Buffer.concat([received, bytes]);
    while (received.length >= 9 && received.length >= 9 + received.readUIntBE(0, 3)) {
      const length = received.readUIntBE(0, 3);
      if (received[3] === DATA) seen.dataBytes += length;
      if (received[3] === PING) seen.pongs += 1;
      received = received.subarray(9 + length);
    }
  };
  const input = async function* (): AsyncGenerator<Buffer, void> {
    for (;;) {
      const bytes = waiting.shift();
      if (bytes !== undefined) yield bytes;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  void server.serve(
    duplexOf({
      input: input(),
      signal: new AbortController().signal,
      write: async (bytes) => take(Buffer.from(bytes)),
      endOutput: () => undefined,
      dropInput: () => undefined,
    }),
  );
  const send = (...frames: readonly Buffer[]): void => {
    waiting.push(Buffer.concat(frames));
    wake();
  };
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
  };
  return { send, seen, until };
};

test("a server sends as much as it was allowed, before and after a change of the first window, and no more", async () => {
  const { send, seen, until } = byHand();
  /** ":method: POST", ":scheme: http", ":path: /", and a name (RFC 7541, appendix A). */
  const head = Buffer.from([0x83, 0x86, 0x84, 0x41, 1, 0x61]);
  send(PREFACE, frame(SETTINGS, 0, 0, Buffer.alloc(0)), allow(0, 10_000_000));
  send(frame(HEADERS, END_HEADERS, 1, head), frame(DATA, END_STREAM, 1, Buffer.alloc(5)));
  await until(() => seen.dataBytes === 65_535);
  send(allow(1, 100_000));
  await until(() => seen.dataBytes === 165_535);
  send(firstWindow(262_144));
  await until(() => seen.dataBytes === 362_144);
  send(allow(1, 50_000), firstWindow(300_000));
  await until(() => seen.dataBytes === 450_000);
  send(frame(PING, 0, 0, Buffer.alloc(8)));
  await until(() => seen.pongs === 1);
  expect(seen.dataBytes).toBe(450_000);
});
