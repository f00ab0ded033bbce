import { expect, test } from "bun:test";
import { createServer, connect } from "node:net";
import { portKernel } from "#kernel/reserve.ts";

const reservePort: typeof portKernel.reservePort = (...order) => portKernel.reservePort(...order);
const closePort: typeof portKernel.closePort = (fd) => portKernel.closePort(fd);

/** Resolves with the server, or with the error's code. */
const listen = (port: number, host = "0.0.0.0"): Promise<{ close: () => Promise<void> } | string> =>
  new Promise((resolve) => {
    const server = createServer((socket) => socket.end());
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
    server.listen(port, host, () =>
      resolve({ close: () => new Promise((done) => void server.close(() => done())) }),
    );
  });

const PORT = 28_431;

test("a held TCP port is refused to listeners and to connections, and free when closed", async () => {
  const fd = reservePort("0.0.0.0", PORT, "tcp");
  expect(await listen(PORT)).toBe("EADDRINUSE");
  expect(await listen(PORT, "127.0.0.1")).toBe("EADDRINUSE");
  expect(() => reservePort("127.0.0.1", PORT, "tcp")).toThrow("EADDRINUSE");
  const refused = await new Promise((resolve) =>
    connect(PORT, "127.0.0.1").once("error", (e: NodeJS.ErrnoException) => resolve(e.code)),
  );
  expect(refused).toBe("ECONNREFUSED");
  const other = reservePort("0.0.0.0", PORT, "udp");
  closePort(other);
  closePort(fd);
  const server = await listen(PORT);
  if (typeof server === "string") throw new Error(server);
  expect(() => reservePort("0.0.0.0", PORT, "tcp")).toThrow("EADDRINUSE");
  // The server's side ends first and stays in TIME_WAIT: the port can be held all the same.
  await new Promise((resolve) => connect(PORT, "127.0.0.1").resume().once("close", resolve));
  await server.close();
  closePort(reservePort("0.0.0.0", PORT, "tcp"));
});

test("an address of another host is named", () => {
  expect(() => reservePort("198.51.100.77", PORT, "tcp")).toThrow("EADDRNOTAVAIL");
});

test("UDP ports conflict too", () => {
  const fd = reservePort("127.0.0.1", PORT, "udp");
  expect(() => reservePort("0.0.0.0", PORT, "udp")).toThrow("EADDRINUSE");
  closePort(fd);
});
