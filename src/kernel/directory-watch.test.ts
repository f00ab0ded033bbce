import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { watchKernel } from "#kernel/directory-watch.ts";

let root: string;
beforeEach(() => (root = mkdtempSync("/tmp/naru-watch-")));
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** The next event after each call. */
const events = (only?: "arrivals") => {
  const seen: string[] = [];
  let wake = (): void => undefined;
  const listener = (change: string, name: string): void => {
    seen.push(`${change} ${name}`);
    wake();
  };
  const watch = watchKernel.watchDirectory(root, listener, only);
  const next = async (wanted: string): Promise<void> => {
    while (!seen.includes(wanted)) await new Promise<void>((resolve) => (wake = resolve));
    seen.length = 0;
  };
  return { seen, next, watch };
};

test("every last write is told, however soon it follows", async () => {
  const { next, watch } = events();
  for (let count = 0; count < 200; count += 1) {
    appendFileSync(`${root}/a`, "x");
    await next("modified a");
  }
  renameSync(`${root}/a`, `${root}/b`);
  await next("appeared b");
  watch[Symbol.dispose]();
});

test("watchers of one directory are apart, and a new one works after the last has gone", async () => {
  const first = events();
  const second = events();
  appendFileSync(`${root}/a`, "x");
  await Promise.all([first.next("modified a"), second.next("modified a")]);
  first.watch[Symbol.dispose]();
  first.watch[Symbol.dispose]();
  appendFileSync(`${root}/a`, "x");
  await second.next("modified a");
  expect(first.seen).toEqual([]);
  second.watch[Symbol.dispose]();
  const third = events();
  appendFileSync(`${root}/a`, "x");
  await third.next("modified a");
  rmSync(root, { recursive: true });
  await third.next("gone ");
  third.watch[Symbol.dispose]();
});

test("a file that is written and moved is told once, and all of it to those who asked for all", async () => {
  const few = events("arrivals");
  appendFileSync(`${root}/a.part`, "x");
  renameSync(`${root}/a.part`, `${root}/a`);
  while (few.seen.length === 0) await Bun.sleep(1);
  expect(few.seen).toEqual(["appeared a"]);
  const all = events();
  appendFileSync(`${root}/b.part`, "x");
  renameSync(`${root}/b.part`, `${root}/b`);
  await all.next("appeared b");
  few.watch[Symbol.dispose]();
  all.watch[Symbol.dispose]();
});

test("a directory that is not there is named", () => {
  expect(() => watchKernel.watchDirectory(`${root}/no`, () => undefined)).toThrow("ENOENT");
});
