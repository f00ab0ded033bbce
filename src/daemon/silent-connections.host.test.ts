/** Kept-alive connections on which nobody asks anything: given up to the kernel, answered all the same, closed with the server. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";

import type { Socket } from "#api/http/socket.ts";
import { createHttpServer } from "#api/http/server.ts";
import { listenUnix } from "#daemon/listen-unix.ts";
import { silentLogger } from "#lib/log.ts";

const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await Bun.sleep(5);
};

test("silent connections are parked after some seconds, and each answers its next request", async () => {
  const folder = mkdtempSync("/tmp/naru-silent-");
  const http = createHttpServer({
    handler: async (exchange) => {
      const stream = exchange.stream(200, "", 4);
      await stream.write("pong");
      stream.end();
    },
    logger: silentLogger,
    fields: "",
  });
  let [parked, woken] = [0, 0];
  const counted = (socket: Socket): Socket => {
    const park = socket.park?.bind(socket);
    socket.park = (onWake) => {
      const isParked = park?.(() => {
        woken += 1;
        onWake();
      });
      if (isParked === true) parked += 1;
      return isParked === true;
    };
    return socket;
  };
  const listener = await listenUnix(`${folder}/s`, "", (socket) => {
    http.onConnection(counted(socket));
  });
  const clients = Array.from({ length: 3 }, () => {
    const socket = connect(`${folder}/s`);
    const client = { socket, text: "", isClosed: false };
    socket.on("data", (part: Buffer) => (client.text += part.toString()));
    socket.on("close", () => (client.isClosed = true));
    return client;
  });
  const askAll = async (): Promise<void> => {
    for (const client of clients) {
      client.text = "";
      client.socket.write("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n");
    }
    await until(() => clients.every(({ text }) => text.endsWith("pong")));
  };
  await askAll();
  await until(() => parked === 3);
  await askAll();
  expect(woken).toBe(3);
  await until(() => parked === 6);
  // One wakes, and the clock of all with it; the others stay.
  const [first] = clients;
  first!.text = "";
  first!.socket.write("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n");
  await until(() => first!.text.endsWith("pong"));
  await until(() => parked === 7);
  expect(woken).toBe(4);
  listener.close();
  await http.close(1000);
  await until(() => clients.every(({ isClosed }) => isClosed));
  rmSync(folder, { recursive: true });
}, 120_000);
