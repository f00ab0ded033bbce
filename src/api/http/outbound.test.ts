import { expect, test } from "bun:test";
import { Duplex } from "node:stream";
import { Outbound } from "#api/http/outbound.ts";

const setUp = () => {
  const writes: string[] = [];
  const socket = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      writes.push(chunk.toString());
      done();
    },
  });
  return { writes, outbound: new Outbound(socket) };
};

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("lines of one turn go out in one write, each a chunk of its own", async () => {
  const { writes, outbound } = setUp();
  await outbound.sendChunkSoon("one\n");
  await outbound.sendChunkSoon("zwö\n");
  expect(writes).toEqual([]);
  await turn();
  expect(writes).toEqual(["4\r\none\n\r\n5\r\nzwö\n\r\n"]);
});

test("what is written after them comes after them", async () => {
  const { writes, outbound } = setUp();
  await outbound.sendChunkSoon("a");
  await outbound.sendChunk("b");
  await outbound.sendChunkSoon("c");
  await outbound.sendChunk(Buffer.from("d"));
  await outbound.sendChunkSoon("e");
  await outbound.sendChunk(Buffer.alloc(20_000, "f"));
  await outbound.sendChunkSoon("");
  await outbound.sendChunkSoon("g");
  outbound.write("0\r\n\r\n");
  const letters = writes.join("").replaceAll(/4e20|\r\n|[0-9]/g, "");
  expect(letters.replace(/f+/, "f")).toBe("abcdefg");
  await turn();
  expect(writes.at(-1)).toBe("1\r\ng\r\n0\r\n\r\n");
});

test("many lines do not wait for the end of the turn", async () => {
  const { writes, outbound } = setUp();
  for (let index = 0; index < 10; index += 1) await outbound.sendChunkSoon("x".repeat(2_000));
  expect(writes.length).toBe(1);
});

test("what waits behind other bytes stays what it was, whatever its writer does with its buffer", async () => {
  const taken: string[] = [];
  let take: (() => void) | undefined;
  const socket = new Duplex({
    writableHighWaterMark: 100_000,
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      taken.push(chunk.toString());
      take = done;
    },
  });
  const outbound = new Outbound(socket);
  await outbound.send("first");
  const buffer = Buffer.alloc(20_000, "a");
  await outbound.send(buffer.subarray(0, 5));
  await outbound.sendChunk(buffer);
  buffer.fill("b");
  for (let index = 0; index < 5; index += 1) {
    const done = take;
    take = undefined;
    done?.();
    await turn();
  }
  expect(taken.join("")).toBe(`firstaaaaa4e20\r\n${"a".repeat(20_000)}\r\n`);
});

test("a client that is gone is told at the next line", async () => {
  const { writes, outbound } = setUp();
  await outbound.sendChunkSoon("a");
  outbound.abandon();
  await turn();
  expect(writes).toEqual([]);
  const told = await outbound.sendChunkSoon("b").catch(String);
  expect(told).toContain("closed its connection");
});

test("lines for a client that does not read wait, and go on when it reads", async () => {
  let take: (() => void) | undefined;
  const socket = new Duplex({
    writableHighWaterMark: 1_000,
    read: () => undefined,
    write: (_chunk: Buffer, _encoding, done) => void (take = done),
  });
  const outbound = new Outbound(socket);
  let written = 0;
  const writing = (async () => {
    for (; written < 100; written += 1) {
      await outbound.sendChunkSoon("x".repeat(500));
      await turn();
    }
  })();
  for (let index = 0; index < 200; index += 1) await turn();
  expect(written).toBeLessThan(10);
  expect(socket.writableLength).toBeLessThan(10_000);
  while (written < 100) {
    const taken = take;
    take = undefined;
    taken?.();
    await turn();
  }
  await writing;
});
