/** Files over real sockets, with the kernel's own way and without it: whole, slow, cut off, too short. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { sendFile } from "#api/distribution/file-sender.ts";
import { DEFAULT_PATIENCE } from "#api/distribution/patience.ts";
import type { Exchange } from "#api/http/exchange.ts";
import { createHttpServer } from "#api/http/server.ts";
import { countingSender } from "#kernel/send-file.fake.ts";
import type { FileSender } from "#kernel/send-file.ts";
import { silentLogger } from "#lib/log.ts";
import { digestOf } from "#spec/image/digest.ts";

const folder = mkdtempSync(join(tmpdir(), "naru-send-"));
const file = join(folder, "blob");
const content = Buffer.alloc(9_000_001);
for (let at = 0; at < content.length; at += 1) content[at] = (at * 7 + (at >> 11)) & 255;
writeFileSync(file, content);

const failures: string[] = [];
const counting = countingSender();
const senders: Record<string, FileSender | undefined> = {
  kernel: counting,
  // What is not in memory is read from the disk, and never by the thread.
  cold: { ...counting, isCached: () => false },
  none: undefined,
};

/** Answers that were begun. */
let begun = 0;

/** /<sender>/<first>/<size>/<announced> */
const handle = async (exchange: Exchange): Promise<void> => {
  const [, sender = "", first, size, announced] = exchange.head.path.split("/");
  begun += 1;
  const fd = openSync(file, "r");
  const range = { first: Number(first), sizeBytes: Number(size) };
  try {
    const stream = exchange.stream(200, "", Number(announced ?? size));
    await sendFile(fd, range, stream, { patience: DEFAULT_PATIENCE, fileSender: senders[sender] });
  } catch (error) {
    failures.push(String(error));
    throw error;
  } finally {
    closeSync(fd);
  }
};

const http = createHttpServer({ handler: handle, logger: silentLogger, fields: "" });
const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
  http.onConnection(socket),
);
let port = 0;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as net.AddressInfo).port;
});
afterAll(async () => {
  server.close();
  await http.close(100);
  rmSync(folder, { recursive: true });
});

const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`);

for (const sender of Object.keys(senders)) {
  test(`every range arrives as it is (${sender})`, async () => {
    counting.passedBytes = 0;
    for (const [first, size] of [
      [0, content.length],
      [1, 1],
      [4095, 300_000],
      [262_143, 262_145],
      [content.length - 70_000, 70_000],
    ] as const) {
      const bytes = await (await get(`/${sender}/${first}/${size}`)).bytes();
      expect(digestOf(bytes)).toBe(digestOf(content.subarray(first, first + size)));
    }
    if (sender === "kernel") expect(counting.passedBytes).toBeGreaterThan(content.length / 4);
    else expect(counting.passedBytes).toBe(0);
  });
}

test("many at once, some of them slow, some of them gone in the middle", async () => {
  const whole = digestOf(content);
  const slow = async (): Promise<void> => {
    const reader = (await get(`/kernel/0/${content.length}`)).body!.getReader();
    const parts: Uint8Array[] = [];
    for (let step = await reader.read(); !step.done; step = await reader.read()) {
      parts.push(step.value);
      if (parts.length % 8 === 0) await Bun.sleep(1);
    }
    expect(digestOf(Buffer.concat(parts))).toBe(whole);
  };
  const gone = async (): Promise<void> => {
    const reader = (await get(`/kernel/0/${content.length}`)).body!.getReader();
    await reader.read();
    await reader.cancel();
  };
  const quick = async (): Promise<void> => {
    const bytes = await (await get(`/kernel/0/${content.length}`)).bytes();
    expect(digestOf(bytes)).toBe(whole);
  };
  await Promise.all(Array.from({ length: 30 }, (_, at) => [slow, gone, quick][at % 3]!()));
});

test("a file that is too short cuts the connection, so that the client notices", async () => {
  for (const sender of Object.keys(senders)) {
    failures.length = 0;
    const size = content.length + 10;
    const failure = await get(`/${sender}/0/${size}`)
      .then((response) => response.bytes())
      .then(
        () => "it came whole",
        () => "cut off",
      );
    expect(failure).toBe("cut off");
    expect(failures.join()).toContain("shorter than it should be");
  }
});

test("answers to a client that asks for more before it reads hold what it asked for", async () => {
  begun = 0;
  const [size, count] = [30_000, 600];
  const firsts = Array.from({ length: count }, (_, at) => at * 7);
  const expected = firsts.map((first) => digestOf(content.subarray(first, first + size)));
  const socket = net.connect({ port, host: "127.0.0.1" });
  const parts: Buffer[] = [];
  socket.pause().on("data", (part: Buffer) => void parts.push(part));
  const asked = firsts.map((first) => `GET /cold/${first}/${size} HTTP/1.1\r\nHost: d\r\n\r\n`);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.write(asked.join("").replace(/\r\n$/, "Connection: close\r\n\r\n"));
  // Until the sockets are full, and the next answers wait in this process.
  for (let before = -1; begun === 0 || before < begun; await Bun.sleep(50)) before = begun;
  expect(begun).toBeLessThan(count);
  socket.resume();
  await closed;
  const whole = Buffer.concat(parts);
  const answers: string[] = [];
  for (let at = 0; answers.length < count;) {
    const begin = whole.indexOf("\r\n\r\n", at) + 4;
    at = begin + size;
    answers.push(digestOf(whole.subarray(begin, at)));
  }
  expect(answers).toEqual(expected);
});
