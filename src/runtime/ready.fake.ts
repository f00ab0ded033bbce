/** Runtimes of their own over the real crun, and containers in them, for the tests of what is loaded before. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
} from "node:fs";

import { randomHex, sleep } from "#lib/clock.ts";
import { createCgroupKernel } from "#kernel/cgroup.ts";
import { watchKernel } from "#kernel/directory-watch.ts";
import { createKernel } from "#kernel/real.ts";
import { createRuntime } from "#runtime/oci-runtime.ts";
import type { CreateOptions, ExitNotice, Runtime } from "#runtime/runtime.ts";

export const kernel = createKernel();
const cgroups = createCgroupKernel();
const cgroupParent = `/naru-test-${randomHex(4)}`;
export const crun = Bun.which("crun");
export let base: string;
let rootfs: string;

/** Before the tests of a file. */
export const openWorlds = (): void => {
  base = mkdtempSync("/tmp/naru-ready-");
  rootfs = `${base}/rootfs`;
  for (const name of ["bin", "proc", "dev", "sys"])
    mkdirSync(`${rootfs}/${name}`, { recursive: true });
  copyFileSync("/bin/busybox", `${rootfs}/bin/busybox`);
};

/** And after them. */
export const closeWorlds = async (): Promise<void> => {
  await cgroups.remove(cgroupParent);
  rmSync(base, { recursive: true, force: true });
};

export interface World {
  readonly root: string;
  readonly runtime: Runtime;
  readonly reasons: unknown[];
  ended(id: string): Promise<ExitNotice>;
}

export const until = async <T>(look: () => T | undefined): Promise<T> => {
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    await sleep(5);
  }
};

export const makeWorld = (runtimePath: string): World => {
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
      onHeavy: () => undefined,
    },
  );
  runtime.onExit((notice) => notices.set(notice.id, notice));
  return { root, runtime, reasons, ended: (id) => until(() => notices.get(id)) };
};

export const configOf = (id: string, args: readonly string[], extra: object = {}): string =>
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
export const cgroupsNamed = (id: string): readonly string[] =>
  ["", ...readdirSync("/sys/fs/cgroup")]
    .map((hierarchy) => `/sys/fs/cgroup/${hierarchy}${cgroupParent}/${id}`)
    .filter((path) => existsSync(path));

/** Which monitor was used. */
export type Used = "fresh" | "ready";

export const create = async (
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
export const runToEnd = async (
  w: World,
  id: string,
  config: string,
  changes?: Partial<CreateOptions>,
) => {
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

export const readyId = (w: World): Promise<string> => until(() => w.runtime.takeReady());

export const monitorsOf = (w: World): string[] =>
  readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(w.root);
    } catch {
      return false; // ended meanwhile
    }
  });

export const close = async (w: World): Promise<void> => {
  w.runtime.close();
  await until(() => monitorsOf(w).length === 0 || undefined);
};

export const SHOW = [
  "busybox grep -E 'Cap|NoNew|Seccomp|Groups|SigIgn|SigBlk' /proc/self/status",
  "for fd in /proc/$$/fd/*; do echo $fd $(busybox readlink $fd); done",
  "busybox awk '{print $5, $6, $9}' /proc/self/mountinfo",
  "busybox env; busybox cat /proc/self/oom_score_adj /proc/self/limits",
  "echo to stderr >&2; exit 3",
].join("; ");
