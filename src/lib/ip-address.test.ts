import { expect, test } from "bun:test";
import { isIP as isIPOfNode } from "node:net";
import { isIPv4, isIPv6, versionOfIP } from "#lib/ip-address.ts";

const WRITTEN = [
  "0.0.0.0",
  "255.255.255.255",
  "256.1.1.1",
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.4.",
  ".1.2.3.4",
  "01.2.3.4",
  "1.2.3.04",
  "1..2.3",
  "1.2.3.4 ",
  "0x1.2.3.4",
  "1e1.2.3.4",
  "",
  ":",
  "::",
  ":::",
  "::1",
  "1::",
  "fe80::1",
  "FE80::A",
  "1:2:3:4:5:6:7:8",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7::",
  "::2:3:4:5:6:7:8",
  "1::2::3",
  "12345::",
  "g::",
  "::ffff:1.2.3.4",
  "::1.2.3.4",
  "1:2:3:4:5:6:1.2.3.4",
  "1:2:3:4:5:6:7:1.2.3.4",
  "::ffff:1.2.3",
  "::ffff:1.2.3.256",
  "::ffff:01.2.3.4",
  "::1.2.3.4:5",
  "[::1]",
  "::1]/[",
  "::1/64",
  "10.0.0.1/8",
  "localhost",
];

test("what is an address is what the runtime's own parser takes", () => {
  for (const text of WRITTEN) {
    expect([text, versionOfIP(text)]).toEqual([text, isIPOfNode(text) as 0 | 4 | 6]);
  }
});

test("also of what nobody writes", () => {
  const marks = ["0", "1", "25", "256", "f", "ffff", "10000", ":", "::", ".", "."];
  // A small generator of its own, so that a failure comes again.
  let state = 1;
  const next = (below: number): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
  for (let round = 0; round < 20_000; round += 1) {
    const text = Array.from({ length: 1 + next(16) }, () => marks[next(marks.length)]).join("");
    expect([text, versionOfIP(text)]).toEqual([text, isIPOfNode(text) as 0 | 4 | 6]);
  }
});

test("a zone is no part of an address here", () => {
  expect(isIPv6("fe80::1%eth0")).toBe(false);
  expect(isIPv4("1.2.3.4%eth0")).toBe(false);
});
