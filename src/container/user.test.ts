import { expect, test } from "bun:test";
import { resolveUser } from "#container/user.ts";

const PASSWD = "root:x:0:0:root:/root:/bin/sh\n# note\nbroken\nweb:x:33:34::/srv:/bin/false\n";
const GROUP = "root:x:0:\nwww:x:34:\nextra:x:50:web,root\n";

const CASES: [string, string[], object][] = [
  ["", [], { uid: 0, gid: 0, additionalGids: [0, 50], home: "/root" }],
  ["web", [], { uid: 33, gid: 34, additionalGids: [34, 50], home: "/srv" }],
  ["33", [], { uid: 33, gid: 34, additionalGids: [34, 50], home: "/srv" }],
  ["web:root", [], { uid: 33, gid: 0, additionalGids: [0], home: "/srv" }],
  ["1234", [], { uid: 1234, gid: 0, additionalGids: [0], home: "/" }],
  ["1234:5678", ["extra", "7"], { uid: 1234, gid: 5678, additionalGids: [5678, 50, 7], home: "/" }],
];
for (const [spec, groupAdd, expected] of CASES) {
  test(`user "${spec}" with groups [${groupAdd.join()}]`, () => {
    expect(resolveUser(spec, groupAdd, PASSWD, GROUP)).toEqual(expected as never);
  });
}

test("unknown names are refused in Docker's words", () => {
  expect(() => resolveUser("nobody", [], PASSWD, GROUP)).toThrow(
    "unable to find user nobody: no matching entries in passwd file",
  );
  expect(() => resolveUser("web:none", [], PASSWD, GROUP)).toThrow("unable to find group none");
  expect(() => resolveUser("-1", [], PASSWD, GROUP)).toThrow("uids and gids must be in range");
});

test("an image without passwd runs as root in /", () => {
  expect(resolveUser("", [], "", "")).toEqual({ uid: 0, gid: 0, additionalGids: [0], home: "/" });
});
