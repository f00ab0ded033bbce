import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
  writeFileSync,
} from "node:fs";
import { gunzipSync } from "node:zlib";
import { compressFile } from "#log/compressed.ts";
import { rotatedFiles } from "#log/files.ts";
import { readLog } from "#log/read.ts";
import { compressRotated, rotateIfDue } from "#log/rotate.ts";
import { trimEnded } from "#log/split.ts";

let root: string;
let path: string;
beforeEach(() => {
  root = mkdtempSync("/tmp/naru-gz-");
  path = `${root}/container.log`;
});
afterEach(() => rmSync(root, { recursive: true }));

const POLICY = { maxBytes: 2048, maxFiles: 100, isCompressed: true };
const row = (count: number): string => `2026-11-22T17:31:11.000000000+00:00 stdout F ${count}\n`;
const ALL = { stdout: true, stderr: true };

const numbers = async (options: Partial<Parameters<typeof readLog>[0]> = {}): Promise<number[]> =>
  (await Array.fromAsync(readLog({ path, ...ALL, ...options }))).map((line) =>
    Number(Buffer.from(line.bytes).toString()),
  );
const upTo = (from: number, end: number): number[] =>
  Array.from({ length: end - from }, (_, index) => from + index);

/** Files of 50 lines, the newest of which is being written. */
const writeFiles = async (files: number): Promise<void> => {
  for (let file = 0; file < files; file += 1) {
    const text = upTo(file * 50, file * 50 + 50)
      .map(row)
      .join("");
    writeFileSync(path, text);
    if (file === files - 1) return;
    rotateIfDue({ path, policy: POLICY, reopen: () => writeFileSync(path, "") });
    // oxlint-disable-next-line no-await-in-loop -- one file after the other
    await compressRotated(path);
  }
};

test("a compressed file is gzip that others read", async () => {
  const text = row(1).repeat(10_000);
  writeFileSync(path, text);
  await compressFile(path);
  expect(readdirSync(root)).toEqual(["container.log.gz"]);
  expect(statSync(`${path}.gz`).size).toBeLessThan(text.length / 50);
  expect(gunzipSync(readFileSync(`${path}.gz`)).toString()).toBe(text);
  expect(Bun.spawnSync(["gzip", "-t", `${path}.gz`]).exitCode).toBe(0);
  await compressFile(`${path}.none`);
});

test("all lines in their order, from compressed files and the one being written", async () => {
  await writeFiles(4);
  const names = readdirSync(root).toSorted();
  expect(names).toEqual(["container.log", ...[1, 2, 3].map((n) => `container.log.${n}.gz`)]);
  expect(await numbers()).toEqual(upTo(0, 200));
  expect(await numbers({ tail: 10 })).toEqual(upTo(190, 200));
  expect(await numbers({ tail: 120 })).toEqual(upTo(80, 200));
  expect(await numbers({ tail: 0 })).toEqual([]);
  expect(readdirSync(root).toSorted()).toEqual(names);
});

test("a follower sees each line once while files are rotated and compressed", async () => {
  let fd = openSync(path, "a");
  const reopen = (): void => void (fd = openSync(path, "a"));
  const closed = Promise.withResolvers<void>();
  const follower = numbers({ follow: true, closed: closed.promise });
  for (let count = 0; count < 2000; count += 1) {
    writeSync(fd, row(count));
    if (count % 50 === 49) {
      rotateIfDue({ path, policy: POLICY, reopen });
      // oxlint-disable-next-line no-await-in-loop -- the follower reads meanwhile
      await compressRotated(path);
    }
  }
  closed.resolve();
  expect(await follower).toEqual(upTo(0, 2000));
});

test("a damaged file says which, and leaves nothing open or behind", async () => {
  await writeFiles(2);
  writeFileSync(`${path}.1.gz`, "no gzip");
  const before = readdirSync("/proc/self/fd").length;
  const failure = await numbers().catch((error: unknown) => String(error));
  expect(failure).toContain("cannot be expanded");
  expect(readdirSync("/proc/self/fd").length).toBeLessThanOrEqual(before);
  expect(readdirSync(root).toSorted()).toEqual(["container.log", "container.log.1.gz"]);
  expect(await numbers({ tail: 5 })).toEqual(upTo(95, 100));
});

test("the files of an ended container are brought within the policy", async () => {
  await writeFiles(3);
  writeFileSync(path, upTo(100, 400).map(row).join(""));
  await trimEnded(path, { ...POLICY, maxFiles: 3 });
  const left = await numbers();
  expect(left.at(-1)).toBe(399);
  expect(left).toEqual(upTo(400 - left.length, 400));
  expect(readdirSync(root).toSorted()).toEqual([
    "container.log",
    "container.log.1",
    "container.log.2",
  ]);
});

test("what is older than an oversized file stays as long as the policy has room for it", async () => {
  await writeFiles(3);
  const before = rotatedFiles(path).map(({ number }) => number);
  writeFileSync(path, upTo(100, 400).map(row).join(""));
  await trimEnded(path, { ...POLICY, maxFiles: 1000 });
  expect(await numbers()).toEqual(upTo(0, 400));
  expect(rotatedFiles(path).length).toBeGreaterThan(before.length + 1);
});

test("the oversized file may be the one before the last, and older ones are compressed", async () => {
  await writeFiles(3);
  renameSync(`${path}.2.gz`, `${path}.3.gz`);
  renameSync(`${path}.1.gz`, `${path}.2.gz`);
  writeFileSync(`${path}.1`, upTo(100, 400).map(row).join(""));
  writeFileSync(path, upTo(400, 402).map(row).join(""));
  await trimEnded(path, POLICY);
  expect(await numbers()).toEqual(upTo(0, 402));
});

test("a line longer than a file may be makes a longer file, and takes nobody else's place", async () => {
  await writeFiles(3);
  const long = `${" ".repeat(3000)}102\n`;
  writeFileSync(path, [row(100), row(101), row(102).replace("102\n", long), row(103)].join(""));
  await trimEnded(path, POLICY);
  expect(await numbers()).toEqual(upTo(0, 104));
  writeFileSync(path, row(103).replace("103\n", long));
  const before = rotatedFiles(path);
  await trimEnded(path, POLICY);
  expect(rotatedFiles(path)).toEqual(before);
  expect(readdirSync(root)).toHaveLength(before.length + 1);
});
