import { afterAll, expect, test } from "bun:test";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import type { NaruError } from "#lib/errors.ts";
import { libc } from "#kernel/libc.ts";
import { createKernel } from "#kernel/real.ts";
import { unixAddress } from "#kernel/socket.ts";

const kernel = createKernel();
const root = mkdtempSync("/tmp/naru-socket-");
afterAll(() => rmSync(root, { recursive: true, force: true }));

test("a pipe carries bytes and closes on exec", () => {
  const { readFd, writeFd } = kernel.pipe();
  writeSync(writeFd, "through");
  const buffer = Buffer.alloc(16);
  expect(buffer.toString("utf8", 0, readSync(readFd, buffer))).toBe("through");
  for (const fd of [readFd, writeFd]) {
    expect(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8")).toMatch(/flags:\s+02\d{6}/);
    closeSync(fd);
  }
});

test("a datagram reaches the socket of a path and of an abstract name", () => {
  for (const path of [`${root}/notify`, `@naru-test-${process.pid}`]) {
    const fd = libc().socket(1, 2 | 0o2000000, 0);
    const address = unixAddress(path);
    if (path.startsWith("@")) address[2] = 0;
    const length = path.startsWith("@") ? address.length - 1 : address.length;
    try {
      expect(libc().bind(fd, address, length)).toBe(0);
      kernel.sendDatagram(path, Buffer.from("READY=1\nSTATUS=up"));
      const buffer = Buffer.alloc(64);
      const size = Number(libc().recv(fd, buffer, buffer.length, 0x40));
      expect(buffer.toString("utf8", 0, size)).toBe("READY=1\nSTATUS=up");
    } finally {
      closeSync(fd);
    }
  }
  expect(() => kernel.sendDatagram(`${root}/absent`, Buffer.from("x"))).toThrow(
    `connect failed for "${root}/absent"`,
  );
});

test("connecting names the path, short or longer than an address holds", () => {
  const deep = `${root}/${"d".repeat(100)}`;
  mkdirSync(deep);
  for (const path of [`${root}/absent`, `${deep}/absent`]) {
    try {
      kernel.connectSeqpacket(path);
      expect.unreachable();
    } catch (error) {
      expect((error as NaruError).code).toBe("not_found");
      expect((error as NaruError).details).toEqual({ errno: "ENOENT", call: "connect", path });
    }
  }
});

test("tells what a socket is bound to", () => {
  const path = `${root}/named`;
  const unix = libc().socket(1, 1 | 0o2000000, 0);
  const inet = libc().socket(2, 1 | 0o2000000, 0);
  try {
    expect(kernel.localAddress(unix)).toEqual({ family: "unix", path: "" });
    const address = unixAddress(path);
    expect(libc().bind(unix, address, address.length)).toBe(0);
    expect(kernel.localAddress(unix)).toEqual({ family: "unix", path });
    expect(kernel.localAddress(inet)).toEqual({ family: "inet", port: 0 });
    expect(() => kernel.localAddress(0x7fff)).toThrow("EBADF");
  } finally {
    closeSync(unix);
    closeSync(inet);
  }
});

test("a descriptor becomes a file that is read from its beginning, whoever had it open", () => {
  const { readFd, writeFd } = kernel.pipe();
  const path = `/proc/self/fd/${readFd}`;
  const before = openSync(path, "r");
  try {
    kernel.becomeFile(readFd, "second");
    writeSync(writeFd, "first");
    closeSync(writeFd);
    expect(readFileSync(before, "utf8")).toBe("first");
    expect(readFileSync(path, "utf8")).toBe("second");
    expect(readFileSync(path, "utf8")).toBe("second");
  } finally {
    closeSync(before);
    closeSync(readFd);
  }
});
