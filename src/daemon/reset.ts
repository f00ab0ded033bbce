/** `naru system reset`: every trace of one daemon goes: processes, mounts, links, rules, cgroups, files. */
import { existsSync, readFileSync, readdirSync, rmSync, writeSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { parseArgs } from "node:util";
import { sleep } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { createLogger } from "#lib/log.ts";
import { createCgroupKernel } from "#kernel/cgroup.ts";
import { createKernel } from "#kernel/real.ts";
import type { Kernel } from "#kernel/kernel.ts";
import { DEFAULT_DATA_ROOT, DEFAULT_EXEC_ROOT } from "#daemon/config.ts";
import { findInstance } from "#daemon/instance.ts";
import { createStderrSink } from "#daemon/log-sink.ts";
import { buildNetwork } from "#daemon/rooms.ts";
import { openDaemonDatabase } from "#daemon/schema.ts";

const STDOUT = 1;
const STDERR = 2;
const SIGTERM = 15;
const SIGKILL = 9;

const HELP = `Usage:  naru system reset [OPTIONS]

Stop the daemon of a data root and remove every trace of it: containers, images,
volumes, networks, mounts, processes, firewall rules and files.

Options:
      --data-root string   Which daemon (${DEFAULT_DATA_ROOT})
      --exec-root string   Its exec root (${DEFAULT_EXEC_ROOT}, or what the daemon last used)
  -f, --force              Do not ask
`;

/** The daemon that holds the root, asked to stop and waited for. */
const stopDaemon = async (kernel: Kernel, dataRoot: string): Promise<void> => {
  const path = `${dataRoot}/daemon.lock`;
  if (!existsSync(path)) return;
  const [pidText = "", ticks = ""] = readFileSync(path, "utf8").trim().split(" ");
  const pid = Number(pidText);
  if (String(kernel.startTime(pid) ?? "") !== ticks) return;
  kernel.kill(pid, SIGTERM);
  await kernel.waitForEnd(pid, AbortSignal.timeout(30_000)).catch((cause: unknown) => {
    throw new NaruError(
      "deadline_exceeded",
      `the daemon (process ${pid}) did not stop within 30 s`,
      { cause },
    );
  });
};

/** Processes whose command line names this exec root: conmon and what the runtimes left. */
const monitorsOf = (execRoot: string): number[] =>
  readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
      const isOurs =
        /(^|\/)conmon$/.test(words[0] ?? "") && words.some((word) => word.includes(`${execRoot}/`));
      return isOurs ? [Number(name)] : [];
    } catch {
      return []; // ended meanwhile
    }
  });

const killContainers = async (kernel: Kernel, cgroup: string, execRoot: string): Promise<void> => {
  const cgroups = createCgroupKernel();
  const processesOf = (): number[] => {
    try {
      return cgroups.processes(cgroup);
    } catch {
      return []; // no such cgroup: nothing ran
    }
  };
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const pids = [...processesOf(), ...monitorsOf(execRoot)];
    if (pids.length === 0) break;
    await cgroups.thaw(cgroup).catch(() => undefined);
    for (const pid of pids) kernel.kill(pid, SIGKILL);
    await sleep(20);
  }
  await cgroups.remove(cgroup);
};

const unmountUnder = (kernel: Kernel, root: string): void => {
  for (const target of kernel.mountsUnder(root)) kernel.unmount(target);
};

const execRootOf = (dataRoot: string, given: string | undefined): string => {
  if (given !== undefined) return given;
  const path = `${dataRoot}/exec-root`;
  return existsSync(path) ? readFileSync(path, "utf8").trim() : DEFAULT_EXEC_ROOT;
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

const reset = async (dataRoot: string, execRoot: string): Promise<void> => {
  const kernel = createKernel();
  await stopDaemon(kernel, dataRoot);
  const instance = findInstance(dataRoot);
  if (instance !== undefined) {
    await killContainers(kernel, `/naru-${instance}`, execRoot);
    const log = createLogger(createStderrSink("warn", "text"));
    const database = openDaemonDatabase(dataRoot);
    try {
      await buildNetwork({ instance, execRoot, kernel, log, database }).reset();
    } finally {
      database.close();
    }
  }
  for (const root of [execRoot, dataRoot]) {
    unmountUnder(kernel, root);
    rmSync(root, { recursive: true, force: true });
  }
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
    const dataRoot = values["data-root"] ?? DEFAULT_DATA_ROOT;
    if (values.force !== true && !(await confirm(dataRoot))) return 1;
    await reset(dataRoot, execRootOf(dataRoot, values["exec-root"]));
    writeSync(STDOUT, `removed every trace of the daemon at ${dataRoot}\n`);
    return 0;
  } catch (error) {
    writeSync(STDERR, `naru: ${toNaruError(error).message}\n`);
    return 1;
  }
};
