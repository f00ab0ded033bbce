import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { ContainerRecord } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { LogRotation } from "#container/log-rotation.ts";

let root: string;
let record: ContainerRecord;
let following: Promise<void>[];
let engine: Engine;
let isRemoved: boolean;
let isKept: boolean;

const SIZE_BYTES = 1000;

beforeEach(() => {
  root = mkdtempSync("/tmp/naru-rotation-");
  const logPath = `${root}/container.log`;
  writeFileSync(logPath, "2026-11-22T17:31:11.000000000+00:00 stdout F line\n".repeat(1000));
  const hostConfig = { LogConfig: { Type: "json-file", Config: { "max-size": `${SIZE_BYTES}` } } };
  record = { id: "web", logPath, hostConfig } as unknown as ContainerRecord;
  following = [];
  isRemoved = isKept = false;
  engine = {
    states: { find: () => (isRemoved ? undefined : record) },
    deps: { trash: { has: () => isKept } },
    follow: (_id: string, _what: string, work: () => Promise<void>) => void following.push(work()),
  } as unknown as Engine;
});
afterEach(() => rmSync(root, { recursive: true }));

const sizeBytes = (): number => statSync(record.logPath).size;

test("an ended container's log is cut when its last reader has left", async () => {
  const rotation = new LogRotation();
  const readers = [rotation.follow("web"), rotation.follow("web")];
  await rotation.trim(engine, record);
  readers[0]?.[Symbol.dispose]();
  expect(sizeBytes()).toBeGreaterThan(SIZE_BYTES);
  readers[1]?.[Symbol.dispose]();
  await Promise.all(following);
  expect(following).toHaveLength(1);
  expect(sizeBytes()).toBeLessThanOrEqual(SIZE_BYTES);
});

test("it is not cut any more once the container is being started again", async () => {
  const rotation = new LogRotation();
  const reader = rotation.follow("web");
  await rotation.trim(engine, record);
  rotation.keepWhole("web");
  reader[Symbol.dispose]();
  expect(following).toEqual([]);
  expect(sizeBytes()).toBeGreaterThan(SIZE_BYTES);
});

test("nor when it is removed, unless it can be brought back", async () => {
  isRemoved = true;
  await new LogRotation().trim(engine, record);
  expect(sizeBytes()).toBeGreaterThan(SIZE_BYTES);
  isKept = true;
  await new LogRotation().trim(engine, record);
  expect(sizeBytes()).toBeLessThanOrEqual(SIZE_BYTES);
});
