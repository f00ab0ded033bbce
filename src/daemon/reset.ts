/** `naru system reset`: every trace of one daemon goes: processes, mounts, links, rules, cgroups, files. */
import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { parseArgs } from "node:util";
import { sleep } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { endFrontDoor } from "#door/front-door.ts";
import { type Logger, createLogger } from "#lib/log.ts";
import { removeDirectory } from "#lib/remove-directory.ts";
import type { CgroupKernel } from "#kernel/cgroup-kernel.ts";
import { createCgroupKernel } from "#kernel/cgroup.ts";
import { createKernel } from "#kernel/real.ts";
import type { Kernel } from "#kernel/kernel.ts";
import type { ContainerRecord } from "#container/container.ts";
import { DEFAULT_DATA_ROOT, DEFAULT_EXEC_ROOT } from "#daemon/config.ts";
import { endLeftHurry } from "#daemon/hurry-mark.ts";
import { createStderrLog } from "#daemon/log-sink.ts";
import { buildNetwork } from "#daemon/network-room.ts";
import { type ResetTarget, findResetTarget } from "#daemon/reset-target.ts";
import { lockRoot } from "#daemon/root-lock.ts";
import { databasePathOf, openDaemonDatabase } from "#daemon/schema.ts";
import { stopDaemon } from "#daemon/stop-daemon.ts";
import type { Database } from "#database/database.ts";
import { createContainerRows } from "#metadata/containers.ts";

const STDOUT = 1;
const STDERR = 2;
const SIGKILL = 9;
const KILL_ATTEMPTS = 100;
const KILL_PAUSE_MS = 20;

const HELP = `Usage:  naru system reset [OPTIONS]

Stop the daemon of a data root and remove every trace of it: containers, images,
volumes, networks, mounts, processes, firewall rules and files.

Options:
      --data-root string   Which daemon (${DEFAULT_DATA_ROOT})
      --exec-root string   Its exec root (${DEFAULT_EXEC_ROOT}, or what the daemon last used)
  -f, --force              Do not ask
`;

/** Which directory a path is for a process: each conmon has a mount namespace of its own. */
const directoryFor = (pid: number | "self", path: string): string => {
  const file = statSync(`/proc/${pid}/root${path}`, { throwIfNoEntry: false });
  return file === undefined ? "" : `${file.dev}:${file.ino}`;
};

/** conmon processes that work for this exec root; one of the same path elsewhere is another one. */
const monitorsOf = (execRoot: string): number[] => {
  const here = directoryFor("self", execRoot);
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
      const isOurs =
        /(^|\/)conmon$/.test(words[0] ?? "") &&
        words.some((word) => word.startsWith(`${execRoot}/`)) &&
        directoryFor(Number(name), execRoot) === here;
      return isOurs ? [Number(name)] : [];
    } catch {
      return []; // ended meanwhile
    }
  });
};

const directoriesIn = (path: string): string[] =>
  existsSync(path)
    ? readdirSync(path, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => entry.name)
    : [];

/** The cgroups below `parent`, whichever hierarchies they are in; a freezer acts on its own alone. */
const cgroupsBelow = (cgroups: CgroupKernel, parent: string): string[] => {
  const names = [...cgroups.pathsOf(parent).values()].flatMap(directoriesIn);
  return [...new Set(names)].map((name) => `${parent}/${name}`);
};

/** Cgroups that are this daemon's alone: its own, and one a container where parents were chosen. */
const cgroupsOf = (target: ResetTarget, records: readonly ContainerRecord[]): string[] => [
  ...target.instances.map((instance) => `/naru-${instance}`),
  ...records.flatMap(({ id, hostConfig }) => {
    const parent = hostConfig.CgroupParent || target.cgroupParent;
    return parent?.startsWith("/") === true ? [`${parent}/${id}`] : [];
  }),
];

const processesIn = (cgroups: CgroupKernel, path: string): number[] => {
  try {
    return cgroups.processes(path);
  } catch {
    return []; // no such cgroup: nothing ran
  }
};

const killContainers = async (
  kernel: Kernel,
  paths: readonly string[],
  execRoot: string | undefined,
): Promise<void> => {
  const cgroups = createCgroupKernel();
  for (let attempt = 0; attempt < KILL_ATTEMPTS; attempt += 1) {
    const monitors = execRoot === undefined ? [] : monitorsOf(execRoot);
    const pids = [...monitors, ...paths.flatMap((path) => processesIn(cgroups, path))];
    if (pids.length === 0) break;
    for (const pid of pids) kernel.kill(pid, SIGKILL);
    // A frozen process ends when it thaws.
    for (const path of paths.flatMap((parent) => [parent, ...cgroupsBelow(cgroups, parent)]))
      await cgroups.thaw(path).catch(() => undefined);
    await sleep(KILL_PAUSE_MS);
  }
  // One that cannot go must not keep the others.
  const removals = await Promise.allSettled(paths.map((path) => cgroups.remove(path)));
  for (const removal of removals) if (removal.status === "rejected") throw removal.reason;
};

/** A database that cannot be read must not keep its own removal from happening. */
const openRows = (dataRoot: string, log: Logger): Database => {
  const path = databasePathOf(dataRoot);
  try {
    return openDaemonDatabase(existsSync(path) ? path : ":memory:");
  } catch (error) {
    log.warn("goes on without the database", { error: String(error) });
    return openDaemonDatabase(":memory:");
  }
};

const removeRuntimeState = async (kernel: Kernel, target: ResetTarget): Promise<void> => {
  const stderr = createStderrLog();
  stderr.configure("warn", "text");
  const log = createLogger(stderr.sink);
  const database = openRows(target.dataRoot, log);
  try {
    const rows = createContainerRows(database).all();
    const records = rows.map((row) => JSON.parse(row.record) as ContainerRecord);
    await killContainers(kernel, cgroupsOf(target, records), target.execRoot);
    // Without one there are no namespace files either: a place where nothing is.
    const execRoot = target.execRoot ?? `${target.dataRoot}/no-exec-root`;
    for (const instance of target.instances)
      await buildNetwork({ instance, execRoot, kernel, log, database }).reset();
    await endFrontDoor(execRoot, log);
  } finally {
    database.close();
  }
};

/** A root that is a file system of its own is emptied and stays mounted. */
const removeRoot = (kernel: Kernel, root: string): void => {
  const mounts = kernel.mountsUnder(root);
  for (const mount of mounts) if (mount !== root) kernel.unmount(mount);
  if (!mounts.includes(root)) {
    removeDirectory(root);
    return;
  }
  for (const name of readdirSync(root)) removeDirectory(`${root}/${name}`);
};

const removeSocket = (path: string): void => {
  if (statSync(path, { throwIfNoEntry: false })?.isSocket() === true) rmSync(path, { force: true });
};

const reset = async (target: ResetTarget): Promise<void> => {
  const kernel = createKernel();
  const { dataRoot, execRoot } = target;
  await stopDaemon(kernel, dataRoot);
  using lock = existsSync(dataRoot) ? await lockRoot(kernel, dataRoot) : undefined;
  void lock;
  if (target.instances.length > 0) await removeRuntimeState(kernel, target);
  for (const path of target.sockets) removeSocket(path);
  if (execRoot !== undefined) {
    endLeftHurry(execRoot);
    removeRoot(kernel, execRoot);
  }
  if (existsSync(dataRoot)) removeRoot(kernel, dataRoot);
};

const confirm = async (dataRoot: string): Promise<boolean> => {
  if (!process.stdin.isTTY) {
    throw new NaruError(
      "failed_precondition",
      "this removes everything and nobody is there to ask: add --force",
    );
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(
    `Remove every container, image and volume under "${dataRoot}"? [y/N] `,
  );
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
};

export const runReset = async (argv: readonly string[]): Promise<number> => {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        "data-root": { type: "string" },
        "exec-root": { type: "string" },
        force: { type: "boolean", short: "f" },
        help: { type: "boolean", short: "h" },
      },
    });
    if (values.help === true) {
      writeSync(STDOUT, HELP);
      return 0;
    }
    const target = findResetTarget(values["data-root"] ?? DEFAULT_DATA_ROOT, values["exec-root"]);
    if (values.force !== true && !(await confirm(target.dataRoot))) return 1;
    await reset(target);
    writeSync(STDOUT, `removed every trace of the daemon at ${target.dataRoot}\n`);
    return 0;
  } catch (error) {
    writeSync(STDERR, `naru: ${toNaruError(error).message}\n`);
    return 1;
  }
};
