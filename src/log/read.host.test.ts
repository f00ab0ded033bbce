import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { readLogChunks } from "#log/chunks.ts";
import type { LogLine, LogReadOptions } from "#log/log.ts";
import { readLog } from "#log/read.ts";
import { parseInstant } from "#lib/clock.ts";

let root: string;
let path: string;
beforeEach(() => {
  root = mkdtempSync("/tmp/naru-log-");
  path = `${root}/container.log`;
});
afterEach(() => rmSync(root, { recursive: true }));

const stamp = (second: number): string =>
  `2026-11-22T17:${String(31 + Math.trunc(second / 60)).padStart(2, "0")}:${String(second % 60).padStart(2, "0")}.123456789+02:00`;
const row = (second: number, text: string, stream = "stdout", tag = "F"): string =>
  `${stamp(second)} ${stream} ${tag} ${text}\n`;

const ALL = { stdout: true, stderr: true };

const collect = async (lines: AsyncIterable<LogLine>): Promise<LogLine[]> => Array.fromAsync(lines);
const texts = async (options: Partial<LogReadOptions> = {}): Promise<string[]> =>
  (await collect(readLog({ path, ...ALL, ...options }))).map((l) =>
    Buffer.from(l.bytes).toString(),
  );
const chunks = async (options: Parameters<typeof readLogChunks>[0]): Promise<Buffer> =>
  Buffer.concat(await Array.fromAsync(readLogChunks(options)));

test("lines with their stream and time", async () => {
  writeFileSync(path, row(1, "out") + row(2, "err", "stderr") + row(63, ""));
  const lines = await collect(readLog({ path, ...ALL }));
  expect(lines.map((line) => [line.stream, line.timestampNs, line.bytes.toString()])).toEqual([
    [1, parseInstant("2026-11-22T15:31:01.123456789Z"), "out\n"],
    [2, parseInstant("2026-11-22T15:31:02.123456789Z"), "err\n"],
    [1, parseInstant("2026-11-22T15:32:03.123456789Z"), "\n"],
  ]);
  expect(await texts({ stdout: false })).toEqual(["err\n"]);
});

test("a missing or empty file is an empty log", async () => {
  expect(await texts()).toEqual([]);
  expect(await texts({ tail: 3 })).toEqual([]);
  writeFileSync(path, "");
  expect(await texts({ tail: 3 })).toEqual([]);
});

test("pieces are joined per stream; an unfinished one comes at the end", async () => {
  writeFileSync(
    path,
    row(1, "a", "stdout", "P") +
      row(1, "x", "stderr", "P") +
      row(2, "b", "stdout", "P") +
      row(3, "c") +
      row(4, "y", "stderr") +
      row(5, "$ ", "stdout", "P"),
  );
  expect(await texts()).toEqual(["abc\n", "xy\n", "$ "]);
  expect(await texts({ tail: 1 })).toEqual(["$ "]);
  expect(await texts({ tail: 2, stderr: false })).toEqual(["abc\n", "$ "]);
  const raw = await chunks({
    path,
    ...ALL,
    stderr: false,
    isMultiplexed: false,
    hasTimestamps: true,
  });
  expect(raw.toString()).toBe(
    "2026-11-22T15:31:01.123456789Z abc\n2026-11-22T15:31:05.123456789Z $ ",
  );
});

test("since and until include their ends", async () => {
  writeFileSync(path, [1, 2, 3, 4].map((second) => row(second, `${second}`)).join(""));
  const at = (second: number): bigint => parseInstant(stamp(second));
  expect(await texts({ since: at(2), until: at(3) })).toEqual(["2\n", "3\n"]);
  expect(await texts({ since: at(3) + 1n })).toEqual(["4\n"]);
  expect(await texts({ until: at(1) - 1n })).toEqual([]);
});

test("rotated files come first, oldest before newer, and the tail reaches into them", async () => {
  writeFileSync(`${path}.10`, row(0, "0"));
  writeFileSync(`${path}.2`, row(1, "1") + row(2, "2"));
  writeFileSync(`${path}.1`, row(3, "3"));
  writeFileSync(`${path}.1.tmp`, "no");
  writeFileSync(path, row(4, "4"));
  expect(await texts()).toEqual(["0\n", "1\n", "2\n", "3\n", "4\n"]);
  for (let tail = 0; tail <= 6; tail += 1) {
    expect(await texts({ tail })).toEqual(
      ["0\n", "1\n", "2\n", "3\n", "4\n"].slice(Math.max(0, 5 - tail)),
    );
  }
  expect(await texts({ tail: 3, stdout: false })).toEqual([]);
});

test("the tail of big files is the same as the end of the whole", async () => {
  const lines = Array.from({ length: 20_000 }, (_, index) =>
    row(index % 60, `${index} ${"x".repeat(index % 97)}`),
  );
  writeFileSync(`${path}.1`, lines.slice(0, 9_000).join(""));
  writeFileSync(path, lines.slice(9_000).join(""));
  const all = await texts();
  expect(all).toHaveLength(20_000);
  for (const tail of [1, 10, 1234, 10_999, 11_000, 11_001, 19_999, 20_001]) {
    expect(await texts({ tail })).toEqual(all.slice(-tail));
  }
});

test("frames are Docker's", async () => {
  writeFileSync(path, row(1, "out") + row(2, "err", "stderr"));
  const bytes = await chunks({ path, ...ALL, isMultiplexed: true, details: "a=b " });
  const frame = (stream: number, text: string): Buffer =>
    Buffer.concat([Buffer.from([stream, 0, 0, 0, 0, 0, 0, text.length]), Buffer.from(text)]);
  expect(bytes).toEqual(Buffer.concat([frame(1, "a=b out\n"), frame(2, "a=b err\n")]));
});

test("binary output and lines longer than any block arrive whole", async () => {
  const binary = Buffer.from(Array.from({ length: 256 }, (_, byte) => (byte === 10 ? 0 : byte)));
  const long = Buffer.alloc(700_000, "z");
  const line = (content: Buffer): Buffer =>
    Buffer.concat([Buffer.from(`${stamp(1)} stdout F `), content, Buffer.from("\n")]);
  writeFileSync(path, Buffer.concat([line(binary), line(long), line(Buffer.from("end"))]));
  const lines = await collect(readLog({ path, ...ALL }));
  expect(lines.map((l) => l.bytes.length)).toEqual([257, 700_001, 4]);
  expect(Buffer.from(lines[0]!.bytes.subarray(0, 256))).toEqual(binary);
});

test("what a crash leaves does not stop the reader", async () => {
  const good = row(2, "good");
  writeFileSync(path, `${row(1, "a")}${stamp(1)} stdou${good}`);
  expect(await texts()).toEqual(["a\n", `${stamp(1)} stdou` + "good\n"]);
  writeFileSync(
    path,
    Buffer.concat([Buffer.from(row(1, "a")), Buffer.alloc(500), Buffer.from(good)]),
  );
  expect(await texts()).toEqual(["a\n", "good\n"]);
  writeFileSync(path, `rubbish\n${row(1, "a")}more rubbish\n${stamp(3)} stdout F cut`);
  expect(await texts()).toEqual(["rubbish\n", "a\n", "more rubbish\n", "cut"]);
  writeFileSync(path, `${row(1, "a")}${stamp(3)} std`);
  expect(await texts()).toEqual(["a\n"]);
  // Another writer's times and tags.
  writeFileSync(path, "2026-11-22T17:31:11Z stderr F:x:y other\n");
  const [line] = await collect(readLog({ path, ...ALL }));
  expect(line).toMatchObject({ stream: 2, timestampNs: parseInstant("2026-11-22T17:31:11Z") });
  writeFileSync(path, Buffer.alloc(3_000_000, "g"));
  expect((await texts()).join("")).toHaveLength(3_000_000);
});

/** Follows into an array; `until(n)` waits for the n-th line. */
const follow = (options: Partial<LogReadOptions>) => {
  const seen: string[] = [];
  let wake = (): void => undefined;
  const done = (async () => {
    for await (const line of readLog({ path, ...ALL, follow: true, ...options })) {
      seen.push(Buffer.from(line.bytes).toString());
      wake();
    }
  })();
  const until = async (count: number): Promise<void> => {
    while (seen.length < count) await new Promise<void>((resolve) => (wake = resolve));
  };
  return { seen, done, until };
};

test("following goes on through rotations and ends when the writer has gone", async () => {
  writeFileSync(path, row(1, "1"));
  const closed = Promise.withResolvers<void>();
  const { seen, done, until } = follow({ closed: closed.promise });
  await until(1);
  appendFileSync(path, row(2, "2"));
  await until(2);
  renameSync(path, `${path}.1`);
  appendFileSync(`${path}.1`, row(3, "3"));
  await until(3);
  writeFileSync(`${path}.tmp`, "");
  renameSync(`${path}.tmp`, path);
  appendFileSync(path, row(4, "4"));
  await until(4);
  // A prompt comes at once, its line's rest later.
  appendFileSync(path, row(5, "name? ", "stdout", "P"));
  await until(5);
  appendFileSync(path, row(6, "me"));
  await until(6);
  // Two rotations at once.
  appendFileSync(path, row(7, "7"));
  renameSync(`${path}.1`, `${path}.2`);
  renameSync(path, `${path}.1`);
  writeFileSync(path, row(8, "8"));
  renameSync(`${path}.2`, `${path}.3`);
  renameSync(`${path}.1`, `${path}.2`);
  renameSync(path, `${path}.1`);
  writeFileSync(path, row(9, "9"));
  await until(9);
  appendFileSync(path, row(10, "last"));
  closed.resolve();
  await done;
  expect(seen).toEqual([
    "1\n",
    "2\n",
    "3\n",
    "4\n",
    "name? ",
    "me\n",
    "7\n",
    "8\n",
    "9\n",
    "last\n",
  ]);
});

test("following a log that does not exist yet", async () => {
  const closed = Promise.withResolvers<void>();
  const { seen, done, until } = follow({ closed: closed.promise, tail: 0 });
  await Bun.sleep(20);
  writeFileSync(path, row(1, "first"));
  await until(1);
  closed.resolve();
  await done;
  expect(seen).toEqual(["first\n"]);
});

test("following ends by its signal, and at once when the writer has gone before", async () => {
  writeFileSync(path, row(1, "1"));
  const controller = new AbortController();
  const { done, until } = follow({ signal: controller.signal });
  await until(1);
  controller.abort();
  await done;
  const { done: over, seen } = follow({ closed: Promise.resolve(), tail: 1 });
  await over;
  expect(seen).toEqual(["1\n"]);
});
