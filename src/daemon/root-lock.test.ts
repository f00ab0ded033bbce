import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createKernel } from "#kernel/real.ts";
import { claimExecRoot, execRootOwner, lockHolder, lockRoot } from "#daemon/root-lock.ts";

const kernel = createKernel();
const base = mkdtempSync("/tmp/naru-lock-");
afterAll(() => rmSync(base, { recursive: true, force: true }));
const newRoot = (name: string): string => {
  mkdirSync(`${base}/${name}`);
  return `${base}/${name}`;
};

test("a root is locked once, by whom the file says", () => {
  const root = newRoot("once");
  expect(lockHolder(kernel, root)).toBeUndefined();
  const lock = lockRoot(kernel, root);
  expect(readFileSync(`${root}/daemon.lock`, "utf8")).toBe(`${process.pid}\n`);
  expect(lockHolder(kernel, root)).toBe(process.pid);
  expect(() => lockRoot(kernel, root)).toThrow(
    `another naru daemon (process ${process.pid}) uses "${root}": stop it, or give this one a --data-root and --exec-root of its own`,
  );
  lock[Symbol.dispose]();
  expect(lockHolder(kernel, root)).toBeUndefined();
  lockRoot(kernel, root)[Symbol.dispose]();
});

test("a lock ends with its holder, whatever its file says", async () => {
  const root = newRoot("killed");
  const holder = Bun.spawn(
    ["flock", "--no-fork", `${root}/daemon.lock`, "sh", "-c", "echo held; exec sleep 60"],
    { stdout: "pipe" },
  );
  await holder.stdout.getReader().read();
  writeFileSync(`${root}/daemon.lock`, `${holder.pid}\n`);
  expect(() => lockRoot(kernel, root)).toThrow(`(process ${holder.pid})`);
  holder.kill("SIGKILL");
  await holder.exited;
  using lock = lockRoot(kernel, root);
  expect(lock).toBeDefined();
  expect(readFileSync(`${root}/daemon.lock`, "utf8")).toBe(`${process.pid}\n`);
});

test("an exec root belongs to one instance", () => {
  const exec = newRoot("exec");
  expect(execRootOwner(exec)).toBeUndefined();
  claimExecRoot(exec, "/data one", "aaaaaa");
  expect(execRootOwner(exec)).toEqual({ instance: "aaaaaa", dataRoot: "/data one" });
  claimExecRoot(exec, "/data one", "aaaaaa");
  expect(() => claimExecRoot(exec, "/two", "bbbbbb")).toThrow(
    `exec root "${exec}" belongs to the daemon of "/data one" (instance aaaaaa): give this one an --exec-root of its own`,
  );
  // The data root was wiped by hand.
  expect(() => claimExecRoot(exec, "/data one", "cccccc")).toThrow("naru system reset --data-root");
  // The data root moved, with its instance.
  claimExecRoot(exec, "/moved", "aaaaaa");
  expect(execRootOwner(exec)?.dataRoot).toBe("/moved");
  expect(existsSync(`${exec}/instance`)).toBe(true);
});
