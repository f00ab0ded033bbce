import { expect, test } from "bun:test";
import { redactedAddress } from "#lib/redacted-address.ts";

test.each([
  ["http://me:secret@host:80/a.tar?b#c", "http://me:xxxxx@host:80/a.tar?b#c"],
  ["https://:s:e@c@host/x", "https://:xxxxx@host/x"],
  ["me:secret@host/a.tar", "me:xxxxx@host/a.tar"],
  ["http://me@host:80/a", "http://me@host:80/a"],
  ["http://host:80/a:b@c", "http://host:80/a:b@c"],
  ["host:80/a@b", "host:80/a@b"],
  ["http://host?a:b@c", "http://host?a:b@c"],
  ["-", "-"],
])("%s is told as %s", (address, told) => {
  expect(redactedAddress(address)).toBe(told);
});
