import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { NaruError } from "#lib/errors.ts";
import { parametersOf } from "#kernel/mount-context.ts";
import { parseMountInfo, readMountInfo } from "#kernel/mount.ts";
import { createKernel } from "#kernel/real.ts";

const kernel = createKernel();
const root = mkdtempSync("/tmp/naru-mount-");
const directory = (name: string): string => {
  mkdirSync(`${root}/${name}`, { recursive: true });
  return `${root}/${name}`;
};
afterAll(() => {
  for (const point of kernel.mountsUnder(root)) kernel.unmount(point);
  rmSync(root, { recursive: true, force: true });
});

const thrown = (work: () => unknown): NaruError => {
  try {
    work();
  } catch (error) {
    return error as NaruError;
  }
  throw new Error("nothing was thrown");
};

test("a file system is mounted with its options and unmounted; twice is no error", () => {
  const target = directory("with blank");
  kernel.mount("tmpfs", target, "tmpfs", ["nosuid", "nodev"], "size=64k,mode=0700");
  expect(kernel.mountsUnder(root)).toEqual([target]);
  const info = readMountInfo().find((mount) => mount.mountPoint === target);
  expect(info?.options).toContain("nosuid");
  expect(info?.superOptions).toContain("size=64k");
  kernel.unmount(target);
  kernel.unmount(target);
  kernel.unmount(`${root}/never-there`);
  expect(kernel.mountsUnder(root)).toEqual([]);
});

test("a read-only private bind is all that at once", () => {
  const [from, to] = [directory("from"), directory("to")];
  writeFileSync(`${from}/file`, "hello");
  kernel.mount(from, to, "", ["bind", "ro", "nosuid", "private"]);
  expect(readFileSync(`${to}/file`, "utf8")).toBe("hello");
  expect(() => writeFileSync(`${to}/new`, "")).toThrow("EROFS");
  const info = readMountInfo().find((mount) => mount.mountPoint === to);
  expect(info?.options).toEqual(expect.arrayContaining(["ro", "nosuid"]));
  kernel.unmount(to);
});

test("nested mounts come deepest first", () => {
  const outer = directory("outer");
  kernel.mount("tmpfs", outer, "tmpfs", []);
  kernel.mount("tmpfs", directory("outer/inner"), "tmpfs", []);
  const points = kernel.mountsUnder(outer);
  expect(points).toEqual([`${outer}/inner`, outer]);
  for (const point of points) kernel.unmount(point);
  expect(kernel.mountsUnder(`${root}/out`)).toEqual([]);
});

test("an overlay whose options exceed a page is mounted too", () => {
  const layers = Array.from({ length: 100 }, (_, index) => {
    const layer = directory(`layers/${String(index).padStart(64, "0")}`);
    writeFileSync(`${layer}/file-${index}`, String(index));
    return layer;
  });
  const target = directory("merged");
  const data = `lowerdir=${layers.join(":")},upperdir=${directory("upper")},workdir=${directory("work")}`;
  expect(data.length).toBeGreaterThan(4096);
  kernel.mount("overlay", target, "overlay", ["nodev"], data);
  expect(readFileSync(`${target}/file-0`, "utf8")).toBe("0");
  expect(readFileSync(`${target}/file-99`, "utf8")).toBe("99");
  writeFileSync(`${target}/new`, "");
  expect(existsSync(`${root}/upper/new`)).toBe(true);
  kernel.unmount(target);
});

describe("errors", () => {
  test("name the call, the path and the errno", () => {
    const error = thrown(() => kernel.mount("tmpfs", `${root}/absent`, "tmpfs", []));
    expect(error.code).toBe("not_found");
    expect(error.details).toEqual({ errno: "ENOENT", call: "mount", path: `${root}/absent` });
    expect(error.message).toBe(`mount failed for "${root}/absent": it does not exist (ENOENT)`);
    expect(thrown(() => kernel.mount("x", root, "nosuchfs", [])).details["errno"]).toBe("ENODEV");
  });

  test("refuse options on a bind and long options with odd flags", () => {
    expect(thrown(() => kernel.mount(root, root, "", ["bind"], "x=y")).code).toBe(
      "invalid_argument",
    );
    const long = `x=${"y".repeat(5000)}`;
    expect(thrown(() => kernel.mount("x", root, "overlay", ["remount"], long)).message).toContain(
      '"remount"',
    );
  });
});

test("options are split with their guards respected", () => {
  expect(
    parametersOf("overlay", String.raw`lowerdir=/a\:b:/c\,d,upperdir=/u\,x,metacopy=on,ro`),
  ).toEqual([
    ["lowerdir+", "/a:b"],
    ["lowerdir+", "/c,d"],
    ["upperdir", "/u,x"],
    ["metacopy", "on"],
    ["ro"],
  ]);
});

test("mountinfo is read with escapes, optional fields and the root of a bind", () => {
  const line = String.raw`36 35 98:0 /mnt1 /mnt\0402 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue`;
  expect(parseMountInfo(`${line}\n`)).toEqual([
    {
      root: "/mnt1",
      mountPoint: "/mnt 2",
      options: ["rw", "noatime"],
      type: "ext3",
      source: "/dev/root",
      superOptions: ["rw", "errors=continue"],
    },
  ]);
});
