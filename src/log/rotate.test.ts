import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { readLog } from "#log/read.ts";
import { isReadableDriver, parseSize, rotationPolicy, validateLogOptions } from "#log/options.ts";
import { decideRotation, keepRotated, rotateIfDue } from "#log/rotate.ts";

let root: string;
let path: string;
beforeEach(() => {
  root = mkdtempSync("/tmp/naru-rot-");
  path = `${root}/container.log`;
});
afterEach(() => rmSync(root, { recursive: true }));

test("what is due", () => {
  const policy = { maxBytes: 100, maxFiles: 3, isCompressed: false };
  expect(decideRotation(99, true, policy)).toBe("none");
  expect(decideRotation(100, false, policy)).toBe("rotate");
  expect(decideRotation(undefined, false, policy)).toBe("none");
  expect(decideRotation(undefined, true, policy)).toBe("reopen");
});

test("files move up, the oldest goes", () => {
  let reopened = 0;
  const options = {
    path,
    policy: { maxBytes: 1, maxFiles: 3, isCompressed: false },
    reopen: () => (reopened += 1),
  };
  for (const text of ["1", "2", "3", "4"]) {
    writeFileSync(path, text);
    expect(rotateIfDue(options)).toBe("rotate");
    expect(existsSync(path)).toBe(false);
  }
  expect(rotateIfDue(options)).toBe("reopen");
  expect(reopened).toBe(5);
  expect(readdirSync(root).toSorted()).toEqual(["container.log.1", "container.log.2"]);
  expect(readFileSync(`${path}.1`, "utf8")).toBe("4");
  expect(readFileSync(`${path}.2`, "utf8")).toBe("3");
});

test("with one file the last one stays beside it until the next time", () => {
  const options = {
    path,
    policy: { maxBytes: 1, maxFiles: 1, isCompressed: false },
    reopen: () => undefined,
  };
  for (const text of ["1", "2", "3"]) {
    writeFileSync(path, text);
    rotateIfDue(options);
  }
  expect(readdirSync(root)).toEqual(["container.log.1"]);
  expect(readFileSync(`${path}.1`, "utf8")).toBe("3");
});

test("a writer that goes on meanwhile loses nothing, and a follower sees each line once", async () => {
  let fd = openSync(path, "a");
  const policy = { maxBytes: 4096, maxFiles: 100, isCompressed: false };
  const reopen = (): void => void (fd = openSync(path, "a"));
  const stop = new AbortController();
  const closed = Promise.withResolvers<void>();
  const follower = Array.fromAsync(
    readLog({ path, stdout: true, stderr: true, follow: true, closed: closed.promise }),
  );
  const rotations = keepRotated({ path, policy, reopen }, stop.signal);
  for (let count = 0; count < 2000; count += 1) {
    writeSync(fd, `2026-11-22T17:31:11.000000000+00:00 stdout F ${count}\n`);
    if (count % 50 === 0) {
      rotateIfDue({ path, policy, reopen });
      await Bun.sleep(1);
    }
  }
  stop.abort();
  await rotations;
  closed.resolve();
  const seen = (await follower).map((line) => Number(Buffer.from(line.bytes).toString()));
  expect(readdirSync(root).length).toBeGreaterThan(10);
  expect(seen).toEqual(Array.from({ length: 2000 }, (_, index) => index));
});

test("a container that ends while its rotated files are compressed is waited for no longer than that", async () => {
  writeFileSync(path, "");
  writeFileSync(`${path}.1`, "2026-11-22T17:31:11.000000000+00:00 stdout F a\n");
  const stop = new AbortController();
  const policy = { maxBytes: 4096, maxFiles: 5, isCompressed: true };
  const rotations = keepRotated({ path, policy, reopen: () => undefined }, stop.signal);
  stop.abort();
  await rotations;
  expect(readdirSync(root).toSorted()).toEqual(["container.log", "container.log.1.gz"]);
});

test("options of log drivers", () => {
  validateLogOptions("", {});
  validateLogOptions("json-file", {
    "max-size": "10m",
    "max-file": "5",
    labels: "a",
    tag: "x",
    mode: "non-blocking",
    "max-buffer-size": "4m",
  });
  validateLogOptions("local", { "max-size": "1.5g", compress: "true" });
  validateLogOptions("none", {});
  expect(rotationPolicy({})).toEqual({ maxBytes: 10_485_760, maxFiles: 3, isCompressed: false });
  expect(rotationPolicy({ "max-size": "-1" }).maxBytes).toBe(Number.POSITIVE_INFINITY);
  expect([parseSize("1k"), parseSize("2MB"), parseSize("3GiB"), parseSize("x")]).toEqual([
    1024,
    2 ** 21,
    3 * 2 ** 30,
    undefined,
  ]);
  expect([isReadableDriver(""), isReadableDriver("none")]).toEqual([true, false]);
});

test.each<[string, Record<string, string>, string]>([
  ["journald", {}, "logger: no log driver named 'journald' is registered"],
  ["json-file", { x: "y" }, "unknown log opt 'x' for json-file log driver"],
  ["", { x: "y" }, "unknown log opt 'x' for json-file log driver"],
  ["local", { labels: "y" }, "unknown log opt 'labels' for local log driver"],
  ["json-file", { "max-size": "y" }, "max-size"],
  ["json-file", { "max-file": "0" }, "max-file cannot be less than 1"],
  ["json-file", { mode: "x" }, "log mode"],
  ["json-file", { "max-buffer-size": "1m" }, "only supported with 'mode=non-blocking'"],
])("driver %p with %p is refused", (driver, options, message) => {
  expect(() => validateLogOptions(driver, options)).toThrow(message);
});
