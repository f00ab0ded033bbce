import { expect, test } from "bun:test";
import type { NaruError } from "#lib/errors.ts";
import { ensureSysctl, readSysctl, writeSysctl } from "#kernel/sysctl.ts";

test("reads, writes and leaves alone what is right already", () => {
  const name = "net.ipv4.conf.lo.accept_local";
  const before = readSysctl(name);
  expect(before).toMatch(/^[01]$/);
  try {
    expect(ensureSysctl(name, 1 - Number(before))).toBe(true);
    expect(ensureSysctl(name, 1 - Number(before))).toBe(false);
    expect(readSysctl("net/ipv4/conf/lo/accept_local")).toBe(String(1 - Number(before)));
  } finally {
    writeSysctl(name, before);
  }
});

test("an unknown setting, a bad value and a bad name are told apart", () => {
  const code = (work: () => unknown): string => {
    try {
      work();
    } catch (error) {
      return (error as NaruError).code;
    }
    return "fine";
  };
  expect(code(() => readSysctl("net.ipv4.none"))).toBe("not_found");
  expect(code(() => writeSysctl("net.ipv4.none", 1))).toBe("not_found");
  expect(code(() => writeSysctl("net.ipv4.ip_forward", "x"))).toBe("invalid_argument");
  expect(code(() => readSysctl("net/../../etc"))).toBe("invalid_argument");
});
