/** A listener whose process has few descriptors. */
import { expect, test } from "bun:test";
import { type Socket, connect } from "node:net";

const LISTENER = new URL("./listener.ts", import.meta.url).pathname;
const SERVER = `
  import { createServer } from "node:net";
  import { listening } from "${LISTENER}";
  const server = createServer((socket) => socket.write("hello"));
  await listening(server, "test", () => server.listen(0, "127.0.0.1"));
  console.log(server.address().port);
`;
const LIMIT = 200;

/** Resolves with whether the server let it in. */
const dial = (port: number): { socket: Socket; isIn: Promise<boolean> } => {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, "127.0.0.1");
  socket.once("data", () => resolve(true));
  socket.once("error", () => resolve(false));
  socket.once("close", () => resolve(false));
  return { socket, isIn: promise };
};

test("connections for which there are no descriptors are closed, and later ones are let in again", async () => {
  const command = `ulimit -n ${LIMIT}; exec "$0" -e "$1"`;
  await using child = Bun.spawn(["sh", "-c", command, process.execPath, SERVER], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const { value } = await child.stdout.getReader().read();
  const port = Number(new TextDecoder().decode(value));
  const all = Array.from({ length: LIMIT }, () => dial(port));
  const isIn = await Promise.all(all.map((one) => one.isIn));
  expect(isIn.filter(Boolean)).toHaveLength(LIMIT / 2);
  for (const { socket } of all) socket.destroy();
  const deadline = Date.now() + 30_000;
  for (let next = dial(port); !(await next.isIn); next = dial(port)) {
    if (Date.now() > deadline) throw new Error("nobody is let in any more");
  }
  child.kill();
}, 60_000);
