import { afterAll, expect, test } from "bun:test";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import type { NaruError } from "#lib/errors.ts";
import { createKernel } from "#kernel/real.ts";

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
