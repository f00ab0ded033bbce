import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import net from "node:net";
import { Duplex } from "node:stream";
import { randomHex } from "#lib/clock.ts";
import { widenSendBuffer } from "#kernel/send-buffer.ts";

const MIB = 1 << 20;

/** How much a connection takes in one go while its client reads nothing. */
const takenBy = async (prepare: (socket: net.Socket) => void): Promise<number> => {
  const path = `/tmp/naru-send-buffer-${randomHex(6)}.sock`;
  const accepted = Promise.withResolvers<net.Socket>();
  const server = net.createServer(accepted.resolve);
  const listening = Promise.withResolvers<void>();
  server.listen(path, listening.resolve);
  await listening.promise;
  const client = net.connect(path);
  client.pause();
  try {
    const socket = await accepted.promise;
    prepare(socket);
    socket.write(Buffer.alloc(2 * MIB));
    const taken = 2 * MIB - socket.writableLength;
    socket.destroy();
    return taken;
  } finally {
    client.destroy();
    server.close();
    rmSync(path, { force: true });
  }
};

test("a widened connection takes an answer whole, any other a part of it", async () => {
  expect(await takenBy(() => undefined)).toBeLessThan(MIB);
  expect(await takenBy((socket) => widenSendBuffer(socket, 2 * MIB))).toBe(2 * MIB);
});

test("what has no descriptor, or is closed, is left alone", () => {
  const stream = new Duplex({ read: () => undefined, write: () => undefined });
  expect(() => widenSendBuffer(stream, MIB)).not.toThrow();
  const closed = new net.Socket();
  closed.destroy();
  expect(() => widenSendBuffer(closed, MIB)).not.toThrow();
});
