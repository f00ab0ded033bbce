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

test("a root is locked once, by whom the file says", async () => {
  const root = newRoot("once");
  expect(lockHolder(kernel, root)).toBeUndefined();
  const lock = await lockRoot(kernel, root);
  expect(readFileSync(`${root}/daemon.lock`, "utf8")).toBe(`${process.pid}\n`);
  expect(lockHolder(kernel, root)).toBe(process.pid);
  expect(await lockRoot(kernel, root).catch(String)).toContain(
    `another naru daemon (process ${process.pid}) uses "${root}": stop it, or give this one a --data-root and --exec-root of its own`,
  );
  lock[Symbol.dispose]();
  expect(lockHolder(kernel, root)).toBeUndefined();
  (await lockRoot(kernel, root))[Symbol.dispose]();
});

test("a lock ends with its holder, whatever its file says", async () => {
  const root = newRoot("killed");
  const holder = Bun.spawn(
    ["flock", "--no-fork", `${root}/daemon.lock`, "sh", "-c", "echo held; exec sleep 60"],
    { stdout: "pipe" },
  );
  await holder.stdout.getReader().read();
  writeFileSync(`${root}/daemon.lock`, `${holder.pid}\n`);
  expect(await lockRoot(kernel, root).catch(String)).toContain(`(process ${holder.pid})`);
  holder.kill("SIGKILL");
  await holder.exited;
  using lock = await lockRoot(kernel, root);
  expect(lock).toBeDefined();
  expect(readFileSync(`${root}/daemon.lock`, "utf8")).toBe(`${process.pid}\n`);
});

test("what a killed daemon was just starting may hold its lock a moment longer", async () => {
  const root = newRoot("heir");
  const heir = Bun.spawn(
    ["flock", "--no-fork", `${root}/daemon.lock`, "sh", "-c", "echo held; exec sleep 0.2"],
    { stdout: "pipe" },
  );
  await heir.stdout.getReader().read();
  // Nobody has a number as high as this.
  writeFileSync(`${root}/daemon.lock`, "99999999\n");
  using lock = await lockRoot(kernel, root);
  expect(lock).toBeDefined();
  expect(await heir.exited).toBe(0);
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
