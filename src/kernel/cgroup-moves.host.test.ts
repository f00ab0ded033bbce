import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type CgroupLayout, detectLayout } from "#kernel/cgroup-layout.ts";
import {
  ExpectedMoves,
  type MoveFiles,
  moveFiles,
  ownProcessesFile,
} from "#kernel/cgroup-moves.ts";

const layout = (mode: CgroupLayout["mode"], mountPoints: Record<string, string>): CgroupLayout => ({
  mode,
  mountPoints: new Map(Object.entries(mountPoints)),
});
const hybrid = layout("hybrid", { cpu: "/cg/cpu,cpuacct", pids: "/cg/pids", unified: "/cg/u" });
const OWN = "9:pids:/user.slice/x\n4:cpu,cpuacct:/user.slice\n0::/user.slice/a:b.scope\n";

test("the file of the v2 hierarchy comes first, else that of any that is mounted", () => {
  expect(ownProcessesFile(hybrid, OWN)).toBe("/cg/u/user.slice/a:b.scope/cgroup.procs");
  expect(ownProcessesFile(hybrid, "9:pids:/\n")).toBe("/cg/pids/cgroup.procs");
  expect(ownProcessesFile(layout("v1", { cpu: "/cg/c" }), OWN)).toBe(
    "/cg/c/user.slice/cgroup.procs",
  );
  expect(ownProcessesFile(layout("v1", { freezer: "/cg/f" }), OWN)).toBeUndefined();
  expect(ownProcessesFile(hybrid, "")).toBeUndefined();
});

test("one at a time, not again at once, and no failure is anybody's", async () => {
  const calls: string[] = [];
  let end = Promise.withResolvers<void>();
  const files: MoveFiles = {
    read: async () => OWN,
    write: async (path, text) => {
      calls.push(`${path} ${text}`);
      await end.promise;
    },
  };
  const moves = new ExpectedMoves(() => hybrid, files);
  const first = moves.expect();
  expect(moves.expect()).toBeUndefined();
  end.resolve();
  await first;
  expect(moves.expect()).toBeUndefined();
  await Bun.sleep(10);
  end = Promise.withResolvers();
  const second = moves.expect();
  end.reject(new Error("EACCES"));
  await second;
  expect(calls).toEqual(Array(2).fill("/cg/u/user.slice/a:b.scope/cgroup.procs 0"));
});

test("on this host the kernel takes it, and the process stays where it is", async () => {
  const where = (): string => readFileSync("/proc/self/cgroup", "utf8");
  const before = where();
  const path = ownProcessesFile(detectLayout(), before) ?? "";
  expect(readFileSync(path, "utf8").split("\n")).toContain(`${process.pid}`);
  const failures: unknown[] = [];
  await new ExpectedMoves(detectLayout, {
    ...moveFiles,
    write: (...call) =>
      moveFiles.write(...call).catch((error: unknown) => void failures.push(error)),
  }).expect();
  expect(failures).toEqual([]);
  expect(where()).toBe(before);
});
