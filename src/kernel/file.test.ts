import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import type { NaruError } from "#lib/errors.ts";
import { decodeName, encodeName } from "#kernel/name-bytes.ts";
import { createKernel } from "#kernel/real.ts";

const kernel = createKernel();
const root = mkdtempSync("/tmp/naru-file-");
let dir = -1;
beforeAll(() => {
  dir = openSync(root, constants.O_DIRECTORY);
});
afterAll(() => {
  closeSync(dir);
  rmSync(root, { recursive: true, force: true });
});

const failure = (work: () => unknown): NaruError => {
  try {
    work();
  } catch (error) {
    return error as NaruError;
  }
  throw new Error("nothing was thrown");
};
const errno = (work: () => unknown): unknown => failure(work).details["errno"];

describe("openInRoot", () => {
  test("absolute, climbing and symlinked paths stay inside the root", () => {
    mkdirSync(`${root}/tree/etc`, { recursive: true });
    writeFileSync(`${root}/tree/etc/passwd`, "inside");
    symlinkSync("/etc", `${root}/tree/link`);
    symlinkSync("../../../../etc/passwd", `${root}/tree/climb`);
    for (const path of ["/etc/passwd", "link/passwd", "climb", "../../etc/passwd"]) {
      const fd = kernel.openInRoot(`${root}/tree`, path, constants.O_RDONLY);
      const buffer = Buffer.alloc(16);
      expect(buffer.toString("utf8", 0, readSync(fd, buffer))).toBe("inside");
      kernel.close(fd);
    }
  });

  test("creates with a mode, by a descriptor as root, and opens the root itself", () => {
    const fd = kernel.openInRoot(dir, "/made", constants.O_CREAT | constants.O_WRONLY, 0o640);
    kernel.close(fd);
    expect(statSync(`${root}/made`).mode & 0o777).toBe(0o640);
    const self = kernel.openInRoot(root, "", constants.O_DIRECTORY);
    expect(kernel.readDir(self)).toContain("made");
    kernel.close(self);
  });

  test("descriptors are closed on exec; a missing file is not_found", () => {
    const fd = kernel.openInRoot(root, "made", constants.O_RDONLY);
    expect(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8")).toMatch(/flags:\s+02\d{6}/);
    kernel.close(fd);
    expect(failure(() => kernel.openInRoot(root, "absent", 0)).code).toBe("not_found");
    expect(failure(() => kernel.openInRoot(`${root}/absent`, "x", 0)).details["call"]).toBe("open");
  });
});

describe("calls on one component", () => {
  test("make, look at, change and remove every kind of file", () => {
    kernel.mkdirAt(dir, "d", 0o755);
    kernel.symlinkAt("some/where", dir, "s");
    kernel.mknodAt(dir, "fifo", constants.S_IFIFO | 0o600, 0, 0);
    kernel.mknodAt(dir, "null", constants.S_IFCHR | 0o666, 1, 3);
    kernel.close(kernel.openAt(dir, "f", constants.O_CREAT | constants.O_WRONLY, 0o600));
    kernel.linkAt(dir, "f", dir, "hard");
    kernel.renameAt(dir, "hard", dir, "harder");
    expect(kernel.readlinkAt(dir, "s")).toBe("some/where");
    expect(kernel.statAt(dir, "null")).toMatchObject({ rdevMajor: 1, rdevMinor: 3 });
    expect(kernel.statAt(dir, "f").nlink).toBe(2);
    expect(kernel.statAt(dir, "f").ino).toBe(kernel.statAt(dir, "harder").ino);
    expect(kernel.statAt(dir, "f").dev).toBe(statSync(`${root}/f`, { bigint: true }).dev);
    expect(kernel.statAt(dir, "s").mode & constants.S_IFMT).toBe(constants.S_IFLNK);
    for (const name of ["s", "fifo", "null", "f", "harder"]) kernel.unlinkAt(dir, name, false);
    kernel.unlinkAt(dir, "d", true);
    expect(errno(() => kernel.statAt(dir, "d"))).toBe("ENOENT");
  });

  test("owner, mode and times, of a symlink itself too", () => {
    writeFileSync(`${root}/owned`, "");
    symlinkSync("/etc/hostname", `${root}/away`);
    const before = statSync("/etc/hostname").uid;
    kernel.chownAt(dir, "owned", 12, 34);
    kernel.chownAt(dir, "away", 56, 78);
    kernel.chmodAt(dir, "owned", 0o4755);
    const old = { seconds: -86_400, nanoseconds: 5 };
    const recent = { seconds: 1_700_000_000, nanoseconds: 123_456_789 };
    kernel.setTimesAt(dir, "owned", recent, recent);
    kernel.setTimesAt(dir, "away", old, old);
    expect(kernel.statAt(dir, "owned")).toMatchObject({ uid: 12, gid: 34, mtime: recent });
    expect(kernel.statAt(dir, "owned").mode & 0o7777).toBe(0o4755);
    expect(kernel.statAt(dir, "away")).toMatchObject({ uid: 56, gid: 78, mtime: old });
    expect(statSync("/etc/hostname").uid).toBe(before);
    expect(errno(() => kernel.chmodAt(dir, "away", 0o777))).toBe("EOPNOTSUPP");
  });

  test("a symlink is not followed by openAt, and paths are refused", () => {
    symlinkSync("/etc/hostname", `${root}/trap`);
    expect(errno(() => kernel.openAt(dir, "trap", constants.O_RDONLY))).toBe("ELOOP");
    for (const name of ["", ".", "..", "a/b", "/etc"]) {
      expect(failure(() => kernel.statAt(dir, name)).code).toBe("invalid_argument");
    }
    expect(failure(() => kernel.mkdirAt(dir, "a\0b", 0)).code).toBe("invalid_argument");
  });

  test("a full directory is a conflict, a second mkdir already exists", () => {
    kernel.mkdirAt(dir, "full", 0o755);
    writeFileSync(`${root}/full/x`, "");
    expect(failure(() => kernel.unlinkAt(dir, "full", true)).code).toBe("conflict");
    expect(failure(() => kernel.mkdirAt(dir, "full", 0)).code).toBe("already_exists");
  });
});

test("names that are not UTF-8 survive a round trip", () => {
  const bytes = Uint8Array.of(0x66, 0xff, 0xc3, 0xa9, 0xed, 0xa0, 0x80, 0xe2, 0x82);
  const name = decodeName(bytes);
  expect(encodeName(name)).toEqual(bytes);
  kernel.mkdirAt(dir, name, 0o755);
  expect(kernel.readDir(dir)).toContain(name);
  kernel.unlinkAt(dir, name, true);
  for (const plain of ["", "a", "é", "日本", "😀", "\uFEFFx"]) {
    expect(decodeName(encodeName(plain))).toBe(plain);
  }
});

test("extended attributes: set, empty, absent, listed, of symlinks", () => {
  const path = `${root}/attributed`;
  writeFileSync(path, "");
  kernel.setXattr(path, "user.big", Buffer.alloc(3000, 7));
  kernel.setXattr(path, "user.empty", new Uint8Array());
  expect(kernel.getXattr(path, "user.big")?.length).toBe(3000);
  expect(kernel.getXattr(path, "user.empty")?.length).toBe(0);
  expect(kernel.getXattr(path, "user.none")).toBeUndefined();
  expect(kernel.listXattrs(path).toSorted()).toEqual(["user.big", "user.empty"]);
  symlinkSync("nowhere", `${root}/dangling`);
  kernel.setXattr(`${root}/dangling`, "trusted.x", Buffer.from("y"));
  expect(kernel.listXattrs(`${root}/dangling`)).toEqual(["trusted.x"]);
  expect(errno(() => kernel.listXattrs(`${root}/absent`))).toBe("ENOENT");
});

test("errno survives many failing calls", () => {
  for (let round = 0; round < 20_000; round++) {
    const seen = errno(() => kernel.statAt(dir, `none-${round}`));
    if (seen !== "ENOENT") throw new Error(`round ${round}: ${String(seen)}`);
  }
});

test("a lock of a file is had once and ends with its descriptor", () => {
  const path = `${root}/lock`;
  const [first, second] = [openSync(path, "a+"), openSync(path, "a+")];
  expect(readFileSync(`/proc/self/fdinfo/${first}`, "utf8")).toMatch(/flags:\s+02\d{6}/);
  expect(kernel.lockFile(first)).toBe(true);
  expect(kernel.lockFile(second)).toBe(false);
  closeSync(first);
  expect(kernel.lockFile(second)).toBe(true);
  closeSync(second);
});
