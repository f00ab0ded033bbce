import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { type CgroupLayout, detectLayout } from "#kernel/cgroup-layout.ts";
import { ExpectedMoves, type SwitchFiles, ownProcessesFile } from "#kernel/cgroup-moves.ts";
import { createCgroupKernel } from "#kernel/cgroup.ts";

const layout = (mode: CgroupLayout["mode"], mountPoints: Record<string, string>): CgroupLayout => ({
  mode,
  mountPoints: new Map(Object.entries(mountPoints)),
});
const hybrid = layout("hybrid", { cpu: "/cg/cpu,cpuacct", pids: "/cg/pids", unified: "/cg/u" });
const OWN = "9:pids:/user.slice/x\n4:cpu,cpuacct:/user.slice\n0::/user.slice/a:b.scope\n";
const PROCESSES = "/cg/u/user.slice/a:b.scope/cgroup.procs";
const EXPEDITED = "/sys/kernel/rcu_expedited";

test("the file of the v2 hierarchy comes first, else that of any that is mounted", () => {
  expect(ownProcessesFile(hybrid, OWN)).toBe(PROCESSES);
  expect(ownProcessesFile(hybrid, "9:pids:/\n")).toBe("/cg/pids/cgroup.procs");
  expect(ownProcessesFile(layout("v1", { cpu: "/cg/c" }), OWN)).toBe(
    "/cg/c/user.slice/cgroup.procs",
  );
  expect(ownProcessesFile(layout("v1", { freezer: "/cg/f" }), OWN)).toBeUndefined();
  expect(ownProcessesFile(hybrid, "")).toBeUndefined();
});

/** What is done with these switches, `refused` being one that cannot be written. */
const world = (switches: Record<string, string>, refused?: string) => {
  const calls: string[] = [];
  const files: SwitchFiles = {
    read: (path) => (path === "/proc/self/cgroup" ? OWN : (switches[path] ?? "0\n")),
    write: (path, text) => {
      calls.push(`${path} ${text}`);
      if (path === refused) throw new Error("EACCES");
    },
  };
  const clock = { ms: 0 };
  const moves = new ExpectedMoves(
    () => hybrid,
    files,
    () => clock.ms,
  );
  return { calls, clock, expect: () => moves.expect(() => calls.push("hurry")) };
};

const WHOLE = ["hurry", `${EXPEDITED} 1`, `${PROCESSES} 0`, `${EXPEDITED} 0`];

test("the hurry ends with the move, whatever becomes of it, and another one is not soon", () => {
  const good = world({});
  good.expect();
  good.clock.ms = 3;
  good.expect();
  expect(good.calls).toEqual(WHOLE);
  good.clock.ms = 5;
  good.expect();
  expect(good.calls).toEqual([...WHOLE, ...WHOLE]);
  const bad = world({}, PROCESSES);
  bad.expect();
  expect(bad.calls).toEqual(WHOLE);
});

test("a host that always or never hurries is left alone", () => {
  for (const path of [EXPEDITED, "/sys/kernel/rcu_normal"]) {
    const { calls, expect: expectMoves } = world({ [path]: "1\n" });
    expectMoves();
    expect(calls).toEqual([]);
  }
});

test.skipIf(!existsSync(EXPEDITED))(
  "on this host nothing is moved, and the switch is as it was",
  () => {
    const read = (): string[] =>
      ["/proc/self/cgroup", EXPEDITED].map((path) => readFileSync(path, "utf8"));
    const before = read();
    let hurries = 0;
    createCgroupKernel().expectMoves(() => (hurries += 1));
    expect(read()).toEqual(before);
    const isLeftAlone =
      before[1] !== "0\n" || readFileSync("/sys/kernel/rcu_normal", "utf8") !== "0\n";
    expect(hurries).toBe(isLeftAlone ? 0 : 1);
    expect(ownProcessesFile(detectLayout(), before[0] ?? "")).toBeDefined();
  },
);
