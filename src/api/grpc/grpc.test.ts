import { expect, test } from "bun:test";
import { duplexPair } from "node:stream";

import { GrpcClient } from "#api/grpc/client.ts";
import { FrameReader, frameOf } from "#api/grpc/frame.ts";
import { type GrpcHandler, GrpcServer, readOne } from "#api/grpc/server.ts";
import { NaruError } from "#lib/errors.ts";
import { silentLogger } from "#lib/log.ts";

const handlers: Record<string, GrpcHandler> = {
  "/t.T/Echo": async (call) => await call.send(await readOne(call)),
  "/t.T/Many": async (call) => {
    for await (const message of call.messages) await call.send(message);
  },
  "/t.T/Early": async (call) => await call.send(Buffer.from("enough")),
  "/t.T/Fail": async (call) => {
    await readOne(call);
    throw new NaruError("not_found", 'no "줄" — 100% gone');
  },
};

const connect = (): { client: GrpcClient; signal: AbortSignal } => {
  const [near, far] = duplexPair();
  const server = new GrpcServer((path) => handlers[path], silentLogger);
  void server.serve(far);
  return { client: new GrpcClient(near), signal: new AbortController().signal };
};

const told = (error: unknown): unknown => error;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");

test("a message comes back, also one larger than a window", async () => {
  const { client, signal } = connect();
  expect(text(await client.call("/t.T/Echo", Buffer.from("hi"), signal))).toBe("hi");
  const large = Buffer.alloc(5_000_000, 7);
  expect(Buffer.compare(await client.call("/t.T/Echo", large, signal), large)).toBe(0);
  client.close();
});

test("an answer that comes before all of the question was taken is an answer", async () => {
  const { client, signal } = connect();
  const early = Buffer.alloc(3_000_000, 1);
  expect(text(await client.call("/t.T/Early", early, signal))).toBe("enough");
  client.close();
});

test("a stream carries messages both ways, and ends with its half-close", async () => {
  const { client, signal } = connect();
  const stream = client.stream("/t.T/Many", { name: "value" }, signal);
  const got: string[] = [];
  const reading = (async () => {
    for await (const message of stream.messages) got.push(text(message));
  })();
  for (let index = 0; index < 100; index += 1) await stream.send(Buffer.from(`m${index}`));
  stream.end();
  await reading;
  expect(got).toEqual(Array.from({ length: 100 }, (_, index) => `m${index}`));
  client.close();
});

test("an error arrives with its code and its text", async () => {
  const { client, signal } = connect();
  const failing = client.call("/t.T/Fail", Buffer.from("x"), signal);
  expect(await failing.catch(told)).toMatchObject({
    code: "not_found",
    message: 'no "줄" — 100% gone',
  });
  const unknown = client.call("/t.T/Nothing", Buffer.from("x"), signal);
  expect(await unknown.catch(told)).toMatchObject({ code: "not_implemented" });
  client.close();
});

test("a client that ends its half of the connection has left, whatever it was waiting for", async () => {
  for (const asks of [false, true]) {
    const [near, far] = duplexPair();
    const begun = Promise.withResolvers<AbortSignal>();
    const server = new GrpcServer(
      () => async (call) => {
        begun.resolve(call.signal);
        for await (const _ of call.messages);
        await new Promise((resolve) => call.signal.addEventListener("abort", resolve));
      },
      silentLogger,
    );
    const served = server.serve(far);
    const client = new GrpcClient(near);
    if (asks) {
      const stream = client.stream("/t.T/Wait", {}, new AbortController().signal);
      await stream.send(Buffer.from("x"));
      await begun.promise;
    }
    near.end();
    await served;
    if (asks) expect((await begun.promise).aborted).toBe(true);
  }
});

test("an aborted call ends with the signal's reason; the connection lives on", async () => {
  const { client, signal } = connect();
  const abort = new AbortController();
  const stream = client.stream("/t.T/Many", {}, abort.signal);
  await stream.send(Buffer.from("1"));
  abort.abort(new NaruError("canceled", "enough"));
  const reading = (async () => {
    for await (const message of stream.messages) void message;
  })();
  expect(await reading.catch(told)).toMatchObject({ code: "canceled", message: "enough" });
  expect(text(await client.call("/t.T/Echo", Buffer.from("still"), signal))).toBe("still");
  client.close();
});

test("frames are put together from pieces of any size", () => {
  const bytes = Buffer.concat([
    frameOf(Buffer.from("abc")),
    frameOf(new Uint8Array()),
    frameOf(Buffer.from("d")),
  ]);
  for (const size of [1, 2, 3, 7, bytes.length]) {
    const reader = new FrameReader();
    const got: string[] = [];
    for (let start = 0; start < bytes.length; start += size) {
      for (const message of reader.push(bytes.subarray(start, start + size)))
        got.push(text(message));
    }
    reader.end();
    expect(got).toEqual(["abc", "", "d"]);
  }
});

test("a message that ends early, is too large or compressed is refused", () => {
  const cut = new FrameReader();
  expect([...cut.push(frameOf(Buffer.from("abc")).subarray(0, 6))]).toEqual([]);
  expect(() => cut.end()).toThrow("cut short");
  expect(() => [...new FrameReader().push(Buffer.from([0, 255, 0, 0, 0]))]).toThrow("larger");
  expect(() => [...new FrameReader().push(Buffer.from([1, 0, 0, 0, 0]))]).toThrow("compressed");
});
