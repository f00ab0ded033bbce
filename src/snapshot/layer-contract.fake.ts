/** What a layer shows, whatever form it is kept in: the tests that every form passes. */
import { expect, test } from "bun:test";
import {
  lstatSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { type ErrorCode, type NaruError, toNaruError } from "#lib/errors.ts";
import { createKernel } from "#kernel/real.ts";
import type { AppliedLayer, ApplyOptions } from "#snapshot/apply.ts";
import {
  directory,
  file,
  hardLink,
  once,
  symlink,
  tarOf,
  temporary,
  type TarInput,
} from "#snapshot/tar-fixture.fake.ts";

const kernel = createKernel();

/** Makes the layer, so that its tree is at `<root>/layer`. */
export type ApplyForm = (
  root: string,
  entries: readonly TarInput[],
  rest?: Partial<ApplyOptions>,
) => Promise<AppliedLayer>;

/** A directory that goes with what is mounted in it. */
const place = (): { readonly path: string } & Disposable => {
  const dir = temporary();
  const dispose = (): void => {
    for (const mount of kernel.mountsUnder(dir.path)) kernel.unmount(mount);
    dir[Symbol.dispose]();
  };
  return { path: dir.path, [Symbol.dispose]: dispose };
};

const hostile: readonly (readonly [string, readonly TarInput[], ErrorCode, RegExp])[] = [
  ["name with ..", [file("../evil")], "invalid_argument", /"\.\.\/evil".*"\.\."/],
  ["name with .. in the middle", [file("a/../../evil")], "invalid_argument", /a\/\.\.\/\.\.\/evil/],
  ["name that is only ..", [directory("..")], "invalid_argument", /"\.\.\/"/],
  ["absolute name with ..", [file("/../evil")], "invalid_argument", /evil/],
  ["hard link out by ..", [hardLink("h", "../../etc/shadow")], "invalid_argument", /"h".*shadow/],
  [
    "hard link to an absolute path outside",
    [hardLink("h", "/tmp/naru-none")],
    "invalid_argument",
    /"h"/,
  ],
  ["hard link to nothing", [hardLink("h", "nothing")], "invalid_argument", /"nothing"/],
  ["hard link to itself", [file("h"), hardLink("h", "h")], "invalid_argument", /cannot be linked/],
  ["hard link to the root", [hardLink("h", "/")], "invalid_argument", /cannot be linked/],
  ["hard link to a directory", [directory("d"), hardLink("h", "d")], "invalid_argument", /"h"/],
  [
    "hard link through a symlink that leads out",
    [symlink("s", "/etc"), hardLink("h", "s/shadow")],
    "invalid_argument",
    /s\/shadow/,
  ],
  [
    "hard link through a deep missing path",
    [hardLink("h", "a/b/c")],
    "invalid_argument",
    /a\/b\/c/,
  ],
  [
    "file below a symlink to nowhere",
    [symlink("s", "/etc"), file("s/cron.d/x")],
    "invalid_argument",
    /s\/cron/,
  ],
  [
    "file below a relative symlink out",
    [symlink("s", "../../../etc"), file("s/x")],
    "invalid_argument",
    /s/,
  ],
  [
    "file below a chain of symlinks",
    [symlink("a", "b"), symlink("b", "/proc/self/cwd"), file("a/x")],
    "invalid_argument",
    /"a/,
  ],
  [
    "file below a symlink loop",
    [symlink("a", "b"), symlink("b", "a"), file("a/x")],
    "invalid_argument",
    /"a/,
  ],
  ["file below a file", [file("f"), file("f/x")], "invalid_argument", /"f/],
  [
    "file below a device",
    [{ name: "n", type: "character device", deviceMajor: 1, deviceMinor: 3 }, file("n/x")],
    "invalid_argument",
    /"n/,
  ],
  [
    "directory below itself as symlink",
    [symlink("d", "d"), directory("d/e")],
    "invalid_argument",
    /"d/,
  ],
  ["the root as a file", [file("./")], "invalid_argument", /root directory/],
  ["the root as a symlink", [symlink("/", "/etc")], "invalid_argument", /root directory/],
  ["whiteout of nothing", [file("a/.wh.")], "invalid_argument", /whiteout of nothing/],
  ["whiteout of .", [file("a/.wh..")], "invalid_argument", /whiteout of nothing/],
  ["whiteout of ..", [file("a/.wh...")], "invalid_argument", /whiteout of nothing/],
  [
    "whiteout below a symlink out",
    [symlink("s", "/etc"), file("s/.wh.passwd")],
    "invalid_argument",
    /s/,
  ],
  ["opaque marker below ..", [file("../.wh..wh..opq")], "invalid_argument", /\.\./],
  ["component over 255 bytes", [file("n".repeat(256))], "invalid_argument", /nnn/],
  ["path over 4096 bytes", [file("d/".repeat(2500) + "f")], "invalid_argument", /longer than 4096/],
  [
    "overlay redirect",
    [directory("d", { xattrs: { "trusted.overlay.redirect": "/etc" } })],
    "invalid_argument",
    /trusted\.overlay\.redirect/,
  ],
  [
    "overlay metacopy",
    [file("f", "", { xattrs: { "trusted.overlay.metacopy": "" } })],
    "invalid_argument",
    /metacopy/,
  ],
  [
    "too many entries",
    [file("1"), file("2"), file("3"), file("4"), file("5"), file("6")],
    "resource_exhausted",
    /more than 5 entries/,
  ],
  [
    "too many directories in one path",
    [file("1/2/3/4/5/6/7")],
    "resource_exhausted",
    /more than 5 entries/,
  ],
  [
    "too many bytes",
    [file("big", "x".repeat(200_000))],
    "resource_exhausted",
    /more than 100000 bytes.*"big"/,
  ],
];

const kinds = (apply: ApplyForm): void => {
  test("every kind of file, with owner, mode, time and attributes", async () => {
    using dir = place();
    const mtime = { seconds: 1_500_000_000, nanoseconds: 123_456_789 };
    const result = await apply(dir.path, [
      directory("./", { mode: 0o1777, uid: 5, gid: 6 }),
      directory("d/", { mode: 0o2750, uid: 7, gid: 8, mtime }),
      file("d/suid", "#!", { mode: 0o6755, uid: 1000, gid: 1001, mtime }),
      file("d/caps", "x", { xattrs: { "user.colour": "red" } }),
      hardLink("d/again", "d/suid"),
      symlink("d/link", "/absolute/../target"),
      { name: "d/null", type: "character device", deviceMajor: 1, deviceMinor: 3, mode: 0o666 },
      { name: "d/loop", type: "block device", deviceMajor: 7, deviceMinor: 300, mode: 0o660 },
      { name: "d/pipe", type: "fifo", mode: 0o622 },
    ]);
    const at = (name: string) => lstatSync(`${dir.path}/layer/${name}`, { bigint: true });
    expect(at("").mode & 0o7777n).toBe(0o1777n);
    expect([at("").uid, at("").gid]).toEqual([5n, 6n]);
    expect(at("d").mode & 0o7777n).toBe(0o2750n);
    expect(at("d").mtimeNs).toBe(1_500_000_000_123_456_789n);
    expect(at("d/suid").mode & 0o7777n).toBe(0o6755n);
    expect([at("d/suid").uid, at("d/suid").gid]).toEqual([1000n, 1001n]);
    // The set-group-id directory does not hand its group to what is unpacked into it.
    expect(at("d/caps").gid).toBe(0n);
    expect(at("d/suid").mtimeNs).toBe(1_500_000_000_123_456_789n);
    expect(at("d/again").ino).toBe(at("d/suid").ino);
    expect(readlinkSync(`${dir.path}/layer/d/link`)).toBe("/absolute/../target");
    expect(at("d/null").rdev).toBe(0x103n);
    expect(at("d/loop").isBlockDevice()).toBe(true);
    expect(at("d/pipe").isFIFO()).toBe(true);
    expect(at("d/pipe").mode & 0o777n).toBe(0o622n);
    const red = kernel.getXattr(`${dir.path}/layer/d/caps`, "user.colour");
    expect(Buffer.from(red ?? []).toString()).toBe("red");
    expect(result.sizeBytes).toBe(3);
    expect(result.hasRootEntry).toBe(true);
  });

  test("file capabilities survive a change of owner", async () => {
    using dir = place();
    const capability = "\u0001\0\0\u0002\0\u0004\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    await apply(dir.path, [
      file("ping", "x", { uid: 3, mode: 0o755, xattrs: { "security.capability": capability } }),
    ]);
    const value = kernel.getXattr(`${dir.path}/layer/ping`, "security.capability");
    expect(Buffer.from(value ?? []).toString()).toBe(capability);
  });
};

const whiteouts = (apply: ApplyForm): void => {
  test("whiteouts and opaque directories in overlay form", async () => {
    using dir = place();
    const result = await apply(dir.path, [
      directory("a"),
      file("a/.wh.gone"),
      file("a/.wh..wh..opq"),
      file(".wh.top"),
      file(".wh..wh.plnk"),
      // The layer hides a lower directory and brings its own, in both orders.
      file(".wh.first"),
      directory("first"),
      file("first/f"),
      directory("second"),
      file("second/f"),
      file(".wh.second"),
      file(".wh.changed"),
      file("changed", "now a file"),
    ]);
    const device = lstatSync(`${dir.path}/layer/a/gone`);
    expect([device.isCharacterDevice(), device.rdev]).toEqual([true, 0]);
    expect(lstatSync(`${dir.path}/layer/top`).isCharacterDevice()).toBe(true);
    const opaque = (name: string): string | undefined =>
      kernel.getXattr(`${dir.path}/layer/${name}`, "trusted.overlay.opaque")?.toString();
    for (const name of ["a", "first", "second"]) expect(opaque(name)).toBe("121");
    expect(readFileSync(`${dir.path}/layer/changed`, "utf8")).toBe("now a file");
    expect(readdirSync(`${dir.path}/layer`).toSorted()).toEqual([
      "a",
      "changed",
      "first",
      "second",
      "top",
    ]);
    expect(result.isOpaque).toBe(false);
  });

  test("an opaque root is reported", async () => {
    using dir = place();
    expect((await apply(dir.path, [file(".wh..wh..opq"), file("x")])).isOpaque).toBe(true);
  });
};

const replacements = (apply: ApplyForm): void => {
  test("the last of several entries with one name wins", async () => {
    using dir = place();
    await apply(dir.path, [
      file("f", "first"),
      file("f", "second"),
      directory("d", { mode: 0o700 }),
      file("d/kept", "kept"),
      directory("d", { mode: 0o755, mtime: { seconds: 7, nanoseconds: 0 } }),
      directory("dir-to-file"),
      file("dir-to-file/x/y", "deep"),
      file("dir-to-file", "file now"),
      symlink("link", "/etc"),
      file("link", "no link now"),
      file("file-to-dir", "file"),
      directory("file-to-dir"),
      file("file-to-dir/f", "in"),
    ]);
    const read = (name: string): string => readFileSync(`${dir.path}/layer/${name}`, "utf8");
    expect([
      read("f"),
      read("d/kept"),
      read("dir-to-file"),
      read("link"),
      read("file-to-dir/f"),
    ]).toEqual(["second", "kept", "file now", "no link now", "in"]);
    const d = statSync(`${dir.path}/layer/d`);
    expect([d.mode & 0o777, d.mtimeMs]).toEqual([0o755, 7000]);
  });
};

const names = (apply: ApplyForm): void => {
  test("missing parents are made, odd names are cleaned, bytes are kept", async () => {
    using dir = place();
    const long = `${"n".repeat(200)}/${"m".repeat(200)}`;
    await apply(dir.path, [
      file("/abs/olute", "a"),
      file("./x//y/./z", "b"),
      file(long, "c"),
      file("raw\udcff\udcfe", "d"),
      file("나루/ü", "e"),
      file("no/mode", "f", { mode: 0 }),
    ]);
    const read = (name: string): string => readFileSync(`${dir.path}/layer/${name}`, "utf8");
    expect([read("abs/olute"), read("x/y/z"), read(long), read("나루/ü")]).toEqual([
      "a",
      "b",
      "c",
      "e",
    ]);
    const names = readdirSync(Buffer.from(`${dir.path}/layer`), { encoding: "buffer" });
    const raw = Buffer.concat([Buffer.from("raw"), Buffer.from([0xff, 0xfe])]);
    expect(names.some((name) => raw.equals(name as unknown as Uint8Array))).toBe(true);
    expect(statSync(`${dir.path}/layer/abs`).mode & 0o777).toBe(0o755);
  });

  test("symlinks on the way are followed, but never out of the layer", async () => {
    using dir = place();
    writeFileSync(`${dir.path}/outside`, "safe");
    await apply(dir.path, [
      directory("usr/lib"),
      symlink("lib", "usr/lib"),
      file("lib/libc.so", "libc"),
      symlink("up", "../../../../../.."),
      file("up/escaped", "stays in"),
      directory("etc"),
      symlink("abs", "/etc"),
      file("abs/passwd", "ours"),
      symlink("magic", "/proc/self/root"),
    ]);
    const read = (name: string): string => readFileSync(`${dir.path}/layer/${name}`, "utf8");
    expect([read("usr/lib/libc.so"), read("escaped"), read("etc/passwd")]).toEqual([
      "libc",
      "stays in",
      "ours",
    ]);
    expect(readdirSync(dir.path).toSorted()).toEqual(["layer", "outside"]);
  });
};

/** What this process still holds of a directory; the other tests of the process hold other things. */
const openBelow = (directory: string): string[] =>
  readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      return target.startsWith(directory) ? [target] : [];
    } catch {
      return []; // closed meanwhile: that of the listing itself
    }
  });

const refusals = (apply: ApplyForm): void => {
  for (const [name, entries, code, message] of hostile) {
    test(`refused: ${name}`, async () => {
      using dir = place();
      let thrown: NaruError | undefined;
      try {
        await apply(dir.path, entries, { maxEntries: 5, maxBytes: 100_000 });
      } catch (error) {
        thrown = toNaruError(error);
      }
      expect(thrown?.message).toMatch(message);
      expect(thrown?.code).toBe(code);
      expect(readdirSync(dir.path)).toEqual([]);
    });
  }

  test("nothing is left behind when the archive is cut or its sum is wrong", async () => {
    using dir = place();
    const tar = tarOf(directory("a/b/c"), file("a/b/c/f", "x".repeat(5000)));
    const cut = apply(dir.path, [], { source: once(tar.subarray(0, 3000)) });
    expect(cut).rejects.toThrow('tar entry "a/b/c/f" is cut short');
    await cut.catch(() => undefined);
    const diffId = `sha256:${"0".repeat(64)}` as NonNullable<ApplyOptions["diffId"]>;
    const wrong = apply(dir.path, [], { source: once(tar), diffId });
    expect(wrong).rejects.toThrow("it is damaged or was changed");
    await wrong.catch(() => undefined);
    expect(readdirSync(dir.path)).toEqual([]);
    expect(openBelow(dir.path)).toEqual([]);
  });
};

export const layerContract = (apply: ApplyForm): void => {
  kinds(apply);
  whiteouts(apply);
  replacements(apply);
  names(apply);
  refusals(apply);
};
