import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { type AddressInfo, type Server, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toNaruError } from "#lib/errors.ts";
import { createRemote } from "#remote/client.ts";
import { downloadBlob } from "#remote/download.ts";
import { TEST_CONFIG } from "#remote/registry.fake.ts";
import { digestOf } from "#spec/image/digest.ts";
import { parseReference } from "#spec/image/reference.ts";

const signal = new AbortController().signal;
const folder = mkdtempSync(join(tmpdir(), "naru-cut-"));
let server: Server | undefined;
afterEach(() => {
  server?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Says that the whole blob comes, and hangs up after `first` bytes, later at once. */
const startCutter = async (content: Uint8Array, first: number): Promise<string> => {
  let left = first;
  server = createServer((socket) => {
    socket.on("error", () => undefined);
    // TLS is tried first, and is not what this server speaks.
    socket.once("data", (bytes) => {
      const request = bytes.toString("latin1");
      if (!request.startsWith("GET ")) return void socket.destroy();
      if (!request.includes("/blobs/")) {
        return void socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
      }
      const from = Number(/^range: bytes=(\d+)-/im.exec(request)?.[1] ?? 0);
      const head =
        from === 0
          ? "HTTP/1.1 200 OK\r\n"
          : `HTTP/1.1 206 Partial Content\r\nContent-Range: bytes ${from}-${content.length - 1}/${content.length}\r\n`;
      socket.write(`${head}Content-Length: ${content.length - from}\r\n\r\n`);
      const part = content.subarray(from, from + left);
      left = 0;
      socket.write(part);
      // What comes together with the end of a connection may be lost with it.
      setTimeout(() => socket.end(), 100);
    });
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", () => resolve());
  await promise;
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
};

test("a blob whose connection always breaks off fails by its name and what is kept of it", async () => {
  const content = Buffer.alloc(100_000, 7);
  const host = await startCutter(content, 40_000);
  const blob = { mediaType: "x/y", digest: digestOf(content), size: content.length };
  const file = join(folder, "blob");
  let error: unknown;
  try {
    await downloadBlob({
      repository: createRemote(TEST_CONFIG).repository(parseReference(`${host}/a/x:1`), {}),
      blob,
      file,
      maxAttempts: 2,
      signal,
      onProgress: () => undefined,
    });
  } catch (thrown) {
    error = thrown;
  }
  const { code, message } = toNaruError(error);
  expect([code, message]).toEqual([
    "unavailable",
    `blob "${blob.digest}" was cut off after 40000 of 100000 bytes: connection reset by peer; the next try goes on from there`,
  ]);
  expect(statSync(file).size).toBe(40_000);
});
