import { afterAll, expect, test } from "bun:test";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import {
  isAbsent,
  quickLstat,
  quickNames,
  quickRead,
  quickReadlink,
  quickRealpath,
  quickStat,
} from "#kernel/quick-files.ts";

const folder = mkdtempSync("/tmp/naru-quick-");
afterAll(() => rmSync(folder, { recursive: true }));

test("files are told as node:fs tells them", () => {
  writeFileSync(`${folder}/a`, "content", { mode: 0o4640 });
  utimesSync(`${folder}/a`, 1, 1_700_000_000.123);
  symlinkSync("a", `${folder}/l`);
  const { mode, size, mtimeNs } = lstatSync(`${folder}/a`, { bigint: true });
  const told = {
    kind: "file",
    mode: Number(mode) & 0o7777,
    sizeBytes: Number(size),
    modifiedNs: mtimeNs,
  } as const;
  expect(quickLstat(`${folder}/a`)).toEqual(told);
  expect(quickStat(`${folder}/l`)).toEqual(told);
  expect(quickLstat(`${folder}/l`)?.kind).toBe("symlink");
  expect(quickReadlink(`${folder}/l`)).toBe("a");
  expect(quickRealpath(`${folder}/./l`)).toBe(`${folder}/a`);
  expect(quickLstat(folder)?.kind).toBe("directory");
  expect(quickLstat("/dev/null")?.kind).toBe("other");
  utimesSync(`${folder}/a`, 1, -1.5);
  expect(quickLstat(`${folder}/a`)?.modifiedNs).toBe(
    lstatSync(`${folder}/a`, { bigint: true }).mtimeNs,
  );
});

test("directories of any length are listed whole", () => {
  mkdirSync(`${folder}/many`);
  const names = Array.from({ length: 3000 }, (_, index) => `나루 ${index} ${"x".repeat(60)}`);
  for (const name of names) writeFileSync(`${folder}/many/${name}`, "");
  expect(quickNames(`${folder}/many`)?.toSorted()).toEqual(
    readdirSync(`${folder}/many`).toSorted(),
  );
  mkdirSync(`${folder}/none`);
  expect(quickNames(`${folder}/none`)).toEqual([]);
});

test("content comes whole, of files without a size too", () => {
  const large = Buffer.alloc(300_000, "naru");
  writeFileSync(`${folder}/large`, large);
  writeFileSync(`${folder}/empty`, "");
  expect(quickRead(`${folder}/large`)).toEqual(large);
  expect(quickRead(`${folder}/empty`)?.length).toBe(0);
  expect(quickRead("/proc/version")?.toString()).toBe(readFileSync("/proc/version", "utf8"));
});

test("what is not there, or is no file, is undefined", () => {
  for (const path of [`${folder}/no`, `${folder}/a/b`, "", `${folder}\0/a`]) {
    for (const look of [quickStat, quickLstat, quickNames, quickRead, quickReadlink, quickRealpath])
      expect(look(path)).toBeUndefined();
  }
  symlinkSync("nowhere", `${folder}/dangling`);
  const absent = ["no", "a/b", "dangling", "a", "", "many"].filter((name) =>
    isAbsent(`${folder}/${name}`),
  );
  expect(absent).toEqual(["no", "a/b", "dangling"]);
  expect(isAbsent("")).toBe(true);
  expect(isAbsent(`${folder}\0/a`)).toBe(false);
  expect(quickRead(folder)).toBeUndefined();
  expect(quickRead("/dev/null")).toBeUndefined();
  expect(quickNames(`${folder}/large`)).toBeUndefined();
  expect(quickReadlink(`${folder}/large`)).toBeUndefined();
});
