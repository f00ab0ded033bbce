/** Archives over real sockets, past this process and through it: whole, slow, cut off, too short. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { sendArchive } from "#api/docker/image/send-archive.ts";
import type { Exchange } from "#api/http/exchange.ts";
import { createHttpServer } from "#api/http/server.ts";
import type { ArchiveSegment } from "#image/archive-segment.ts";
import { countingSender } from "#kernel/send-file.fake.ts";
import type { FileSender } from "#kernel/send-file.ts";
import { silentLogger } from "#lib/log.ts";
import { digestOf } from "#spec/image/digest.ts";

const folder = mkdtempSync(join(tmpdir(), "naru-archive-"));
const socketPath = join(folder, "sock");
const path = join(folder, "blob");
const content = Buffer.alloc(15_000_001);
for (let at = 0; at < content.length; at += 1) content[at] = (at * 7 + (at >> 11)) & 255;
writeFileSync(path, content);

const HEADER = Buffer.from("a header");
const SEGMENTS: readonly ArchiveSegment[] = [
  { bytes: HEADER },
  { path, start: 0, end: content.length },
  { bytes: HEADER },
  { path, start: 4095, end: 300_001 },
  { path, start: 7, end: 8 },
];
const WHOLE = Buffer.concat([
  HEADER,
  content,
  HEADER,
  content.subarray(4095, 300_001),
  content.subarray(7, 8),
]);

const failures: string[] = [];
const counting = countingSender();
const senders: Record<string, FileSender> = {
  kernel: counting,
  // What is not in memory is read from the disk, and never by the thread.
  cold: { ...counting, isCached: () => false },
  // As over TLS.
  closed: { ...counting, socketOf: () => undefined },
};

/** /<sender>[/<bytes too many>] */
const handle = async (exchange: Exchange): Promise<void> => {
  const [, name = "", more = "0"] = exchange.head.path.split("/");
  const stream = exchange.stream(200, "", WHOLE.length + Number(more));
  const end = content.length + Number(more);
  const segments = SEGMENTS.map((one, at) => (at === 1 ? { path, start: 0, end } : one));
  try {
    await sendArchive(segments, stream, senders[name]!, exchange.signal);
  } catch (error) {
    failures.push(String(error));
    throw error;
  }
};

const http = createHttpServer({ handler: handle, logger: silentLogger, fields: "" });
const servers = [0, 1].map(() =>
  net.createServer({ allowHalfOpen: true }, (socket) => http.onConnection(socket)),
);
let port = 0;
beforeAll(async () => {
  await new Promise<void>((resolve) => servers[0]!.listen(socketPath, resolve));
  await new Promise<void>((resolve) => servers[1]!.listen(0, "127.0.0.1", resolve));
  port = (servers[1]!.address() as net.AddressInfo).port;
});
afterAll(async () => {
  for (const server of servers) server.close();
  await http.close(100);
  rmSync(folder, { recursive: true });
});

const ways: Record<string, (request: string) => Promise<Response>> = {
  "a unix socket": (request) => fetch(`http://localhost${request}`, { unix: socketPath }),
  TCP: (request) => fetch(`http://127.0.0.1:${port}${request}`),
};

for (const [way, get] of Object.entries(ways)) {
  for (const name of Object.keys(senders)) {
    test(`an archive arrives as it is (${name}, ${way})`, async () => {
      counting.passedBytes = 0;
      const bytes = await (await get(`/${name}`)).bytes();
      expect(digestOf(bytes)).toBe(digestOf(WHOLE));
      if (name === "kernel") expect(counting.passedBytes).toBeGreaterThan(content.length / 4);
      else expect(counting.passedBytes).toBe(0);
    });
  }

  test(`many at once, some of them slow, some of them gone in the middle (${way})`, async () => {
    const slow = async (): Promise<void> => {
      const reader = (await get("/kernel")).body!.getReader();
      const parts: Uint8Array[] = [];
      for (let step = await reader.read(); !step.done; step = await reader.read()) {
        parts.push(step.value);
        if (parts.length % 8 === 0) await Bun.sleep(1);
      }
      expect(digestOf(Buffer.concat(parts))).toBe(digestOf(WHOLE));
    };
    const gone = async (): Promise<void> => {
      const reader = (await get("/kernel")).body!.getReader();
      await reader.read();
      await reader.cancel();
    };
    const quick = async (): Promise<void> => {
      expect(digestOf(await (await get("/kernel")).bytes())).toBe(digestOf(WHOLE));
    };
    await Promise.all(Array.from({ length: 12 }, (_, at) => [slow, gone, quick][at % 3]!()));
  });

  test(`a file that is too short cuts the connection, so that the client notices (${way})`, async () => {
    for (const name of Object.keys(senders)) {
      failures.length = 0;
      const failure = await get(`/${name}/10`)
        .then((response) => response.bytes())
        .then(
          () => "it came whole",
          () => "cut off",
        );
      expect(failure).toBe("cut off");
      expect(failures.join()).toContain("is shorter than it was");
    }
  });
}
