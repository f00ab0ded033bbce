import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { parseDaemonConfig } from "#daemon/config.ts";
import { findResetTarget } from "#daemon/reset-target.ts";
import { claimExecRoot } from "#daemon/root-lock.ts";
import { readTraces, writeTraces } from "#daemon/traces.ts";

const base = mkdtempSync("/tmp/naru-target-");
afterAll(() => rmSync(base, { recursive: true, force: true }));

/** Roots as a daemon leaves them. */
const daemonOf = (name: string, instance: string) => {
  const dataRoot = `${base}/${name}-data`;
  const execRoot = `${base}/${name}-exec`;
  mkdirSync(dataRoot);
  mkdirSync(execRoot);
  writeFileSync(`${dataRoot}/instance`, `${instance}\n`);
  claimExecRoot(execRoot, dataRoot, instance);
  const hosts = ["-H", `unix://${base}/${name}.sock`, "-H", "tcp://:1"];
  writeTraces(
    parseDaemonConfig([
      "--data-root",
      dataRoot,
      "--exec-root",
      execRoot,
      ...hosts,
      "--cgroup-parent",
      "/p",
    ]),
  );
  return { dataRoot, execRoot };
};
const one = daemonOf("one", "111111");
const two = daemonOf("two", "222222");

test("the data root alone says where the rest is", () => {
  const whole = {
    ...one,
    instances: ["111111"],
    sockets: [`${base}/one.sock`],
    cgroupParent: "/p",
  };
  expect(findResetTarget(one.dataRoot)).toEqual(whole);
  expect(findResetTarget(`${one.dataRoot}/.`, `${one.execRoot}/`)).toEqual(whole);
});

test("another daemon's exec root is never part of it", () => {
  expect(() => findResetTarget(one.dataRoot, two.execRoot)).toThrow(
    `exec root "${two.execRoot}" belongs to the daemon of "${two.dataRoot}": nothing was removed`,
  );
  expect(() => findResetTarget(one.dataRoot, "/usr")).toThrow('"/usr" is not the exec root');
  writeFileSync(
    `${two.dataRoot}/traces.json`,
    JSON.stringify({ execRoot: one.execRoot, sockets: [] }),
  );
  expect(findResetTarget(two.dataRoot).execRoot).toBeUndefined();
});

test("a directory that no daemon made is refused, an absent or early one is fine", () => {
  expect(() => findResetTarget("/usr")).toThrow(
    '"/usr" is not the data root of a naru daemon: nothing was removed',
  );
  expect(findResetTarget(`${base}/absent`)).toMatchObject({
    execRoot: undefined,
    instances: [],
  });
  mkdirSync(`${base}/early`);
  writeFileSync(`${base}/early/daemon.log`, "could not start");
  expect(findResetTarget(`${base}/early`).instances).toEqual([]);
});

test("data that is gone or torn: the exec root remembers whose it was", () => {
  const lost = daemonOf("lost", "333333");
  writeFileSync(`${lost.dataRoot}/instance`, "");
  writeFileSync(`${lost.dataRoot}/traces.json`, "{");
  expect(readTraces(lost.dataRoot)).toBeUndefined();
  expect(findResetTarget(lost.dataRoot, lost.execRoot)).toMatchObject({ instances: ["333333"] });
  rmSync(lost.dataRoot, { recursive: true });
  expect(findResetTarget(lost.dataRoot, lost.execRoot)).toMatchObject({
    instances: ["333333"],
    sockets: [],
  });
  mkdirSync(lost.dataRoot);
  writeFileSync(`${lost.dataRoot}/instance`, "444444\n");
  const { instances } = findResetTarget(lost.dataRoot, lost.execRoot);
  expect(instances).toEqual(["444444", "333333"]);
});
