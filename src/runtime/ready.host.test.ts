/** What is loaded before makes what fresh monitors and execs make, and leaves nothing. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { randomHex, sleep } from "#lib/clock.ts";
import { createCgroupKernel } from "#kernel/cgroup.ts";
import { watchKernel } from "#kernel/directory-watch.ts";
import { createKernel } from "#kernel/real.ts";
import { createRuntime } from "#runtime/oci-runtime.ts";
import type { CreateOptions, ExitNotice, Runtime } from "#runtime/runtime.ts";

const kernel = createKernel();
const cgroups = createCgroupKernel();
const cgroupParent = `/naru-test-${randomHex(4)}`;
const crun = Bun.which("crun");
let base: string;
let rootfs: string;

beforeAll(() => {
  base = mkdtempSync("/tmp/naru-ready-");
  rootfs = `${base}/rootfs`;
  for (const name of ["bin", "proc", "dev", "sys"])
    mkdirSync(`${rootfs}/${name}`, { recursive: true });
  copyFileSync("/bin/busybox", `${rootfs}/bin/busybox`);
});

afterAll(async () => {
  await cgroups.remove(cgroupParent);
  rmSync(base, { recursive: true, force: true });
});

interface World {
  readonly root: string;
  readonly runtime: Runtime;
  readonly reasons: unknown[];
  ended(id: string): Promise<ExitNotice>;
}

const until = async <T>(look: () => T | undefined): Promise<T> => {
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    await sleep(5);
  }
};

const makeWorld = (runtimePath: string): World => {
  const root = mkdtempSync(`${base}/world-`);
  const reasons: unknown[] = [];
  const notices = new Map<string, ExitNotice>();
  const runtime = createRuntime(
    { ...kernel, ...watchKernel },
    {
      root: `${root}/runtime`,
      conmonPath: Bun.which("conmon") ?? "conmon",
      runtimePath,
      runtimeName: "crun",
      removeCgroup: (path) => cgroups.remove(path),
      places: {
        bundleOf: (id) => `${root}/bundles/${id}`,
        logOf: (id) => `${root}/containers/${id}/container.log`,
      },
      onUnready: (reason) => reasons.push(reason),
    },
  );
  runtime.onExit((notice) => notices.set(notice.id, notice));
  return { root, runtime, reasons, ended: (id) => until(() => notices.get(id)) };
};

const configOf = (id: string, args: readonly string[], extra: object = {}): string =>
  JSON.stringify({
    ociVersion: "1.0.2",
    process: {
      args,
      cwd: "/",
      user: { uid: 0, gid: 0 },
      env: ["PATH=/bin"],
      capabilities: { bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"] },
      noNewPrivileges: true,
    },
    root: { path: rootfs },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["mode=755"] },
    ],
    linux: {
      namespaces: ["mount", "uts", "pid", "ipc", "network"].map((type) => ({ type })),
      cgroupsPath: `${cgroupParent}/${id}`,
      maskedPaths: ["/proc/kcore"],
      ...extra,
    },
  });

/** In any hierarchy. */
const cgroupsNamed = (id: string): readonly string[] =>
  ["", ...readdirSync("/sys/fs/cgroup")]
    .map((hierarchy) => `/sys/fs/cgroup/${hierarchy}${cgroupParent}/${id}`)
    .filter((path) => existsSync(path));

/** Which monitor was used. */
type Used = "fresh" | "ready";

const create = async (
  w: World,
  id: string,
  config: string,
  changes: Partial<CreateOptions> = {},
) => {
  let used: Used | undefined;
  const bundle = `${w.root}/bundles/${id}`;
  mkdirSync(bundle, { recursive: true });
  mkdirSync(`${w.root}/containers/${id}`, { recursive: true });
  const process = await w.runtime.create({
    id,
    bundle,
    around: (spawn) => {
      used = "fresh";
      return kernel.inNewMountNamespace(spawn);
    },
    within: (conmonPid) => {
      used = "ready";
      kernel.inMountNamespaceOf(conmonPid, () => undefined);
    },
    config: () => Promise.resolve(config),
    logPath: `${w.root}/containers/${id}/container.log`,
    isTty: false,
    hasStdin: false,
    keepsStdinOpen: false,
    ...changes,
  });
  return { used, process };
};

/** Its log without times, and its exit code. */
const runToEnd = async (w: World, id: string, config: string, changes?: Partial<CreateOptions>) => {
  const { used, process } = await create(w, id, config, changes);
  await w.runtime.start(id, process);
  const { exitCode } = await w.ended(id);
  const log = readFileSync(`${w.root}/containers/${id}/container.log`, "utf8");
  await w.runtime.delete(id);
  rmSync(`${w.root}/bundles/${id}`, { recursive: true });
  // Without times and the numbers of pipes; the two streams are in the order of their own alone.
  const lines = log
    .split("\n")
    .map((line) =>
      line
        .split(" ")
        .slice(1)
        .join(" ")
        .replaceAll(/\[\d+\]/g, "[N]"),
    )
    .toSorted();
  return { used, exitCode, lines };
};

const readyId = (w: World): Promise<string> => until(() => w.runtime.takeReady());

const monitorsOf = (w: World): string[] =>
  readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(w.root);
    } catch {
      return false; // ended meanwhile
    }
  });

const close = async (w: World): Promise<void> => {
  w.runtime.close();
  await until(() => monitorsOf(w).length === 0 || undefined);
};

const SHOW = [
  "busybox grep -E 'Cap|NoNew|Seccomp|Groups|SigIgn|SigBlk' /proc/self/status",
  "for fd in /proc/$$/fd/*; do echo $fd $(busybox readlink $fd); done",
  "busybox awk '{print $5, $6, $9}' /proc/self/mountinfo",
  "busybox env; busybox cat /proc/self/oom_score_adj /proc/self/limits",
  "echo to stderr >&2; exit 3",
].join("; ");

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

const exec = async (w: World, id: string, changes: { hasStdin?: boolean; fill?: string } = {}) => {
  const execId = randomHex(16);
  const { hasStdin = false, fill = "" } = changes;
  const command = `${SHOW.replace("exit 3", "")} ${hasStdin ? "busybox cat;" : ""} exit 6`;
  const started = await w.runtime.exec({
    id,
    execId,
    process: JSON.stringify({
      args: ["/bin/busybox", "sh", "-c", command],
      cwd: "/",
      user: { uid: 0, gid: 0 },
      env: ["PATH=/bin", `FILL=${fill}`],
      capabilities: { bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"] },
      noNewPrivileges: true,
    }),
    isTty: false,
    hasStdin,
    isDetached: false,
    explain: (message) => ({ message, exitCode: 126 }),
  });
  const used: Used = existsSync(`${w.root}/runtime/exec/${execId}`) ? "fresh" : "ready";
  if (hasStdin) {
    await started.stdio?.write(Buffer.from("typed\n"));
    started.stdio?.closeStdin();
  }
  let text = "";
  for await (const { bytes } of started.stdio?.output ?? []) text += Buffer.from(bytes).toString();
  const lines = text
    .replaceAll(/\[\d+\]/g, "[N]")
    .replaceAll(/proc\/\d+/g, "proc/N")
    .split("\n");
  return { used, exitCode: await started.exited, lines: lines.toSorted() };
};

/** The first one that is prepared is a trial, so again until one was used. */
const readyExec = async (w: World, id: string, hasStdin = false) => {
  for (;;) {
    w.runtime.prepareExec(id, { hasStdin });
    const result = await exec(w, id, { hasStdin });
    if (result.used === "ready") return result;
    await sleep(5);
  }
};

test.skipIf(crun === null)(
  "an exec that was loaded before is as a fresh one",
  async () => {
    const w = makeWorld(crun ?? "");
    const id = "9".repeat(64);
    const { process } = await create(w, id, configOf("execs", ["/bin/busybox", "sleep", "600"]));
    try {
      await w.runtime.start(id, process);
      const fresh = await exec(w, id);
      expect(fresh).toMatchObject({ used: "fresh", exitCode: 6 });
      expect(fresh.lines.length).toBeGreaterThan(20);
      expect(await readyExec(w, id)).toEqual({ ...fresh, used: "ready" });
      const typed = await readyExec(w, id, true);
      expect(typed.lines).toContain("typed");
      // Of another kind, too large, or not wanted any more.
      w.runtime.prepareExec(id, { hasStdin: false });
      expect((await exec(w, id, { hasStdin: true })).used).toBe("fresh");
      const large = await exec(w, id, { fill: "x".repeat(70_000) });
      expect(large).toMatchObject({ used: "fresh", exitCode: 6 });
      w.runtime.prepareExec(id, { hasStdin: false });
      w.runtime.dropExecs(id);
      expect((await exec(w, id)).used).toBe("fresh");
      expect(w.reasons).toEqual([]);
      w.runtime.prepareExec(id, { hasStdin: false });
    } finally {
      kernel.kill(process.pid, 9);
      await w.ended(id);
      await w.runtime.delete(id);
      await close(w);
    }
    await until(() => readdirSync(`${w.root}/runtime/exec`).length === 0 || undefined);
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
