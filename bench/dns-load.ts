/**
 * A load of name queries on 127.0.0.11, to be run in a container's network namespace:
 * `bun dns-load.ts NAME COUNT WINDOW` prints the rate, p50 and p99 as JSON. Every answer is counted.
 */
import { decode, encode } from "dns-packet";

import { percentile } from "./figures.ts";

const [name = "", count = "20000", window = "20"] = process.argv.slice(2);
const total = Number(count);
const latencies: number[] = [];
const sentAt = new Float64Array(65_536);
let sent = 0;
let empty = 0;

const query = encode({
  type: "query",
  id: 0,
  flags: 256,
  questions: [{ type: "A", name }],
});
const { promise, resolve } = Promise.withResolvers<void>();

const send = (socket: Pick<Bun.udp.ConnectedSocket<"buffer">, "send">): void => {
  const id = sent & 0xffff;
  sent += 1;
  query.writeUInt16BE(id, 0);
  sentAt[id] = performance.now();
  socket.send(query);
};

const socket = await Bun.udpSocket({
  connect: { hostname: "127.0.0.11", port: 53 },
  socket: {
    data: (_own, bytes) => {
      latencies.push(performance.now() - (sentAt[bytes.readUInt16BE(0)] ?? 0));
      if (bytes.readUInt16BE(6) === 0) empty += 1;
      if (latencies.length === 1 && (decode(bytes).answers ?? []).length === 0) resolve();
      if (sent < total) send(socket);
      else if (latencies.length === total) resolve();
    },
  },
});
const begin = performance.now();
for (let index = 0; index < Number(window); index += 1) send(socket);
await Promise.race([promise, Bun.sleep(30_000)]);
const seconds = (performance.now() - begin) / 1000;
socket.close();
console.log(
  JSON.stringify({
    rate: latencies.length / seconds,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    lost: total - latencies.length + empty,
  }),
);
