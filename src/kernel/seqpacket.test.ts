import { dlopen } from "bun:ffi";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "bun:test";
import { closeSync, existsSync, mkdtempSync, readlinkSync, rmSync } from "node:fs";
import { checked, lastErrno, libc } from "#kernel/libc.ts";
import { isReadable } from "#kernel/readiness.ts";
import { createKernel } from "#kernel/real.ts";
import { type SeqpacketStream, openSeqpacket } from "#kernel/seqpacket.ts";
import { unixAddress } from "#kernel/socket.ts";

const { symbols } = dlopen("libc.so.6", {
  listen: { args: ["i32", "i32"], returns: "i32" },
  accept4: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
});
const kernel = createKernel();
const root = mkdtempSync("/tmp/naru-seqpacket-");
const path = `${root}/attach`;
const SEQPACKET = 5 | 0o2004000; // non-blocking, close-on-exec
const listener = checked(libc().socket(1, SEQPACKET, 0), "socket", path);
checked(libc().bind(listener, unixAddress(path), unixAddress(path).length), "bind", path);
checked(symbols.listen(listener, 10), "listen", path);

/** The listening side, played by plain system calls. */
let peer = -1;
let stream: SeqpacketStream;
let clientFd = -1;
let socketName = "";
beforeEach(() => {
  clientFd = kernel.connectSeqpacket(path);
  socketName = readlinkSync(`/proc/self/fd/${clientFd}`);
  peer = checked(symbols.accept4(listener, null, null, 0o2004000), "accept4", path);
  stream = openSeqpacket(clientFd);
});
afterEach(() => {
  stream.close();
  if (peer !== -1) closeSync(peer);
  const after = existsSync(`/proc/self/fd/${clientFd}`)
    ? readlinkSync(`/proc/self/fd/${clientFd}`)
    : "";
  expect(after).not.toBe(socketName);
});
afterAll(() => {
  closeSync(listener);
  rmSync(root, { recursive: true, force: true });
});
const hangUp = (): void => {
  closeSync(peer);
  peer = -1;
};

async function* messages(): AsyncGenerator<Uint8Array> {
  for await (const batch of stream.batches) yield* batch;
}

/** A packet that says its number and is filled with a byte made from it. */
const packet = (index: number, length: number): Uint8Array => {
  const bytes = new Uint8Array(Math.max(length, 4)).fill(index * 7);
  new DataView(bytes.buffer).setUint32(0, index);
  return bytes;
};
const lengthOf = (index: number): number => 4 + (((index * 2654435761) >>> 0) % 8190);
const isIntact = (bytes: Uint8Array, index: number): boolean =>
  Buffer.compare(bytes, packet(index, lengthOf(index))) === 0;

const sendNow = (bytes: Uint8Array): boolean => {
  if (libc().send(peer, bytes, bytes.length, 0x4000) >= 0) return true;
  expect(lastErrno()).toBe(11);
  return false;
};
const sendAll = async (count: number): Promise<void> => {
  for (let index = 0; index < count; index++) {
    while (!sendNow(packet(index, lengthOf(index)))) await Bun.sleep(0);
  }
};
const receiveNow = (): Uint8Array | "empty" | "end" => {
  const buffer = new Uint8Array(1 << 17);
  const length = Number(libc().recv(peer, buffer, buffer.length, 0));
  if (length < 0) return "empty";
  return length === 0 ? "end" : buffer.subarray(0, length);
};

describe("reading", () => {
  test("5,000 packets in bursts keep their boundaries, order and bytes", async () => {
    const sending = sendAll(5000).then(hangUp);
    let index = 0;
    for await (const message of messages()) {
      if (!isIntact(message, index)) throw new Error(`packet ${index} is damaged`);
      index += 1;
    }
    await sending;
    expect(index).toBe(5000);
  });

  test("a slow reader holds the sender back and loses nothing", async () => {
    let sent = 0;
    // Ten pauses without room for one packet: nothing moves any more, the sender is held back.
    for (let pauses = 0; pauses < 10 && sent < 100_000;) {
      if (sendNow(packet(sent, lengthOf(sent)))) {
        sent += 1;
        pauses = 0;
      } else {
        pauses += 1;
        await Bun.sleep(2);
      }
    }
    expect(sent).toBeGreaterThan(100);
    expect(sent).toBeLessThan(1000);
    hangUp();
    let index = 0;
    for await (const message of messages()) {
      if (!isIntact(message, index)) throw new Error(`packet ${index} is damaged`);
      if (index++ % 50 === 0) await Bun.sleep(1);
    }
    expect(index).toBe(sent);
  });

  test("what is queued arrives although the other side left bytes of ours unread", async () => {
    await stream.write(Buffer.from("never read"));
    for (let index = 0; index < 20; index++)
      expect(sendNow(packet(index, lengthOf(index)))).toBe(true);
    hangUp();
    let index = 0;
    for await (const message of messages()) expect(isIntact(message, index++)).toBe(true);
    expect(index).toBe(20);
  });

  test("after the other side's half-close reading ends and writing goes on", async () => {
    sendNow(Buffer.from("last"));
    kernel.shutdownWrite(peer);
    const texts: string[] = [];
    for await (const message of messages()) texts.push(Buffer.from(message).toString());
    expect(texts).toEqual(["last"]);
    await stream.write(Buffer.from("still here"));
    expect(Buffer.from(receiveNow()).toString()).toBe("still here");
  });
});

describe("writing", () => {
  test("2,000 packets to a slow reader keep their boundaries and order", async () => {
    const writing = Promise.all(
      Array.from({ length: 2000 }, (_, index) => stream.write(packet(index, lengthOf(index)))),
    );
    for (let index = 0; index < 2000;) {
      const message = receiveNow();
      if (message === "empty") await Bun.sleep(0);
      else if (message === "end" || !isIntact(message, index++)) throw new Error(`packet ${index}`);
    }
    await writing;
  });

  test("half-close comes after what was written; the other side's answers still arrive", async () => {
    const writes = Array.from({ length: 50 }, (_, index) => stream.write(packet(index, 8192)));
    stream.shutdownWrite();
    let count = 0;
    for (let message = receiveNow(); message !== "end"; message = receiveNow()) {
      if (message === "empty") await Bun.sleep(0);
      else count += 1;
    }
    await Promise.all(writes);
    expect(count).toBe(50);
    sendNow(Buffer.from("answer"));
    hangUp();
    const texts: string[] = [];
    for await (const message of messages()) texts.push(Buffer.from(message).toString());
    expect(texts).toEqual(["answer"]);
  });

  test("to a closed side fails, also when it was waiting for room", async () => {
    const writes = Promise.allSettled(
      Array.from({ length: 100 }, (_, index) => stream.write(packet(index, 8192))),
    );
    await Bun.sleep(5);
    hangUp();
    const failed = (await writes).filter((result) => result.status === "rejected");
    expect(failed.length).toBeGreaterThan(10);
    expect((failed[0] as PromiseRejectedResult).reason).toMatchObject({ code: "unavailable" });
    expect(stream.write(Buffer.from("x"))).rejects.toThrow("closed");
  });

  test("refuses packets that cannot be sent", () => {
    expect(() => stream.write(new Uint8Array())).toThrow("0 bytes");
    expect(() => stream.write(new Uint8Array(65_537))).toThrow("65537 bytes");
  });
});

test("close ends the reader, the writers and the connection, at once and for good", async () => {
  const reading = stream.batches.next();
  stream.close();
  stream.close();
  stream.shutdownWrite();
  expect((await reading).done).toBe(true);
  expect(stream.write(Buffer.from("x"))).rejects.toThrow("closed");
  while (!isReadable(peer)) await Bun.sleep(1);
  expect(receiveNow()).toBe("end");
});
