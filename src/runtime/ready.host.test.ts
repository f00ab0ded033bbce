/** Monitors that are loaded before make what fresh ones make, and leave nothing. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import {
  SHOW,
  base,
  cgroupsNamed,
  close,
  closeWorlds,
  configOf,
  create,
  crun,
  kernel,
  makeWorld,
  monitorsOf,
  openWorlds,
  readyId,
  runToEnd,
  until,
} from "#runtime/ready.fake.ts";
import type { CreateOptions } from "#runtime/runtime.ts";

beforeAll(openWorlds);
afterAll(closeWorlds);

test.skipIf(crun === null)(
  "a ready monitor makes the process that a fresh one makes",
  async () => {
    const w = makeWorld(crun ?? "");
    try {
      const args = ["/bin/busybox", "sh", "-c", SHOW];
      expect(w.runtime.takeReady()).toBeUndefined(); // none before the first start
      const fresh = await runToEnd(w, "a".repeat(64), configOf("fresh", args));
      const id = await readyId(w);
      const ready = await runToEnd(w, id, configOf("ready", args));
      expect(ready.lines).toEqual(fresh.lines);
      expect(ready.lines.length).toBeGreaterThan(20);
      expect([fresh.used, ready.used]).toEqual(["fresh", "ready"]);
      expect([fresh.exitCode, ready.exitCode]).toEqual([3, 3]);
      // More than a pipe holds.
      const big = await readyId(w);
      const text = configOf("big", args, { intelRdt: undefined }).replace(
        "PATH=/bin",
        `PATH=/bin","FILL=${"x".repeat(120_000)}`,
      );
      const large = await runToEnd(w, big, text);
      expect(large.used).toBe("ready");
      expect(large.exitCode).toBe(3);
      expect(large.lines.some((line) => line.includes("xxxxxxxx"))).toBe(true);
      expect(w.reasons).toEqual([]);
    } finally {
      await close(w);
    }
    expect(readdirSync(`${w.root}/bundles`)).toEqual([]);
    expect(readdirSync(`${w.root}/runtime/state`)).toEqual([]);
    expect(readdirSync(`${w.root}/runtime/sockets`)).toEqual([]);
  },
  60_000,
);

test.skipIf(crun === null)(
  "what fails, fails in the same words and leaves nothing",
  async () => {
    const w = makeWorld(crun ?? "");
    const messageOf = (
      id: string,
      config: string,
      changes?: Partial<CreateOptions>,
    ): Promise<string> =>
      create(w, id, config, changes).then(
        () => "made",
        (error: Error) => error.message,
      );
    try {
      await runToEnd(w, "b".repeat(64), configOf("b", ["/bin/busybox", "true"]));
      const bad = configOf("bad", ["/no-such-program"]);
      const [fresh, ready] = ["c".repeat(64), await readyId(w)];
      const words = await messageOf(fresh, bad);
      expect(words).toContain("/no-such-program");
      expect(await messageOf(ready, bad)).toBe(words);
      for (const id of [fresh, ready]) await w.runtime.delete(id);
      // So few descriptors that the runtime cannot clean up after itself.
      const { process } = JSON.parse(bad) as { process: object };
      const rlimits = [{ type: "RLIMIT_NOFILE", soft: 10, hard: 20 }];
      const few = { ...JSON.parse(bad), process: { ...process, rlimits } } as object;
      for (const id of ["e".repeat(64), await readyId(w)]) {
        const text = JSON.stringify(few).replaceAll("bad", id);
        expect(await messageOf(id, text)).not.toBe("made");
        await w.runtime.delete(id);
        expect(cgroupsNamed(id)).toEqual([]);
      }
      expect(existsSync(`${w.root}/bundles/${ready}`)).toBe(false);
      const thrown = await readyId(w);
      const config = (): Promise<string> => Promise.reject(new Error("no network"));
      expect(await messageOf(thrown, "", { config })).toBe("no network");
      await until(() => !monitorsOf(w).some((pid) => commandOf(pid).includes(thrown)) || undefined);
      expect(existsSync(`${w.root}/bundles/${thrown}`)).toBe(false);
    } finally {
      await close(w);
    }
  },
  60_000,
);

const commandOf = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return ""; // ended meanwhile
  }
};

test.skipIf(crun === null)(
  "a monitor that is not used goes, and the id stays good",
  async () => {
    const w = makeWorld(crun ?? "");
    try {
      const config = configOf("plain", ["/bin/busybox", "echo", "said"]);
      await runToEnd(w, "d".repeat(64), config);
      const dropped = await readyId(w);
      w.runtime.dropReady(dropped);
      expect(existsSync(`${w.root}/bundles/${dropped}`)).toBe(false);
      expect(await runToEnd(w, dropped, config)).toMatchObject({ used: "fresh", exitCode: 0 });
      const withStdin = await readyId(w);
      const changes = { hasStdin: true };
      expect((await runToEnd(w, withStdin, config, changes)).used).toBe("fresh");
      // Somebody killed it.
      const killed = await readyId(w);
      const pid = Number(readFileSync(`${w.root}/bundles/${killed}/conmon.pid`, "utf8"));
      kernel.kill(pid, 9);
      await kernel.waitForEnd(pid);
      expect((await runToEnd(w, killed, config)).used).toBe("fresh");
      // Nothing is left of one that was waiting when all ended.
      await until(() => readdirSync(`${w.root}/bundles`)[0]);
    } finally {
      await close(w);
    }
    await until(() => readdirSync(`${w.root}/bundles`).length === 0 || undefined);
  },
  60_000,
);

test.skipIf(crun === null)(
  "a runtime that reads no pipe has no ready monitors, and containers",
  async () => {
    const wrapper = `${base}/careful-crun`;
    const lines = [
      "#!/bin/sh",
      'if [ -p config.json ]; then echo "no regular file" >&2; exit 1; fi',
      `exec ${crun} "$@"`,
    ];
    writeFileSync(wrapper, `${lines.join("\n")}\n`);
    chmodSync(wrapper, 0o755);
    const w = makeWorld(wrapper);
    try {
      const config = configOf("careful", ["/bin/busybox", "true"]);
      expect((await runToEnd(w, "e".repeat(64), config)).exitCode).toBe(0);
      expect(String(await until(() => w.reasons[0]))).toContain("no regular file");
      expect((await runToEnd(w, "f".repeat(64), config)).used).toBe("fresh");
      expect(w.runtime.takeReady()).toBeUndefined();
      expect(w.reasons.length).toBe(1);
    } finally {
      await close(w);
    }
  },
  60_000,
);
