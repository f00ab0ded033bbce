import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { canRun, checkCanRun } from "#build/emulation.ts";
import { HOST_PLATFORM, parsePlatform } from "#spec/image/platform.ts";

const RULE = `enabled
interpreter /usr/bin/qemu-s390x-static
flags: OCF
offset 0
magic 7f454c4602020100000000000000000000020016
mask ffffffffffffff00fffffffffffffffffffeffff
`;

test("another architecture runs where a rule holds its interpreter open", () => {
  const directory = mkdtempSync(`${tmpdir()}/naru-binfmt-`);
  const platform = parsePlatform("linux/s390x");
  try {
    writeFileSync(`${directory}/register`, "");
    writeFileSync(`${directory}/status`, "enabled\n");
    expect(canRun(platform, directory)).toBe(false);
    writeFileSync(`${directory}/anything`, RULE);
    expect(canRun(platform, directory)).toBe(true);
    expect(canRun(parsePlatform("linux/riscv64"), directory)).toBe(false);
    writeFileSync(`${directory}/anything`, RULE.replace("OCF", "OC"));
    expect(canRun(platform, directory)).toBe(false);
    writeFileSync(`${directory}/qemu-riscv64`, "enabled\nflags: PF\n");
    expect(canRun(parsePlatform("linux/riscv64"), directory)).toBe(true);
    writeFileSync(`${directory}/qemu-riscv64`, "disabled\nflags: PF\n");
    expect(canRun(parsePlatform("linux/riscv64"), directory)).toBe(false);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("the host's own architecture needs no rule; without one the remedy is named", () => {
  expect(canRun(HOST_PLATFORM, "/nowhere")).toBe(true);
  expect(canRun(parsePlatform("windows/amd64"), "/nowhere")).toBe(false);
  expect(() => checkCanRun(parsePlatform("linux/mips64le"))).toThrow(
    /RUN for linux\/mips64le cannot run on this linux\/\w+ machine: install emulation .*BUILDPLATFORM/,
  );
});
