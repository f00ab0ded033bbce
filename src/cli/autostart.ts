/**
 * Starts naru's own engine when none was named and none answers. Only one of several commands
 * starts it; the others wait. The engine outlives the command: own session, output to a log file.
 */
import { Connection } from "#client/connection.ts";
import type { Address } from "#client/connection.ts";
import type { Output } from "#cli/output.ts";
import { monotonicMs, sleep } from "#lib/clock.ts";
import { hasCode, NaruError } from "#lib/errors.ts";
import { WITHOUT_COLLECTOR_TIMER } from "#lib/runtime-settings.ts";
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";

const READY_LIMIT_MS = 10_000;
const RETRY_MS = 10;
const LOG_PATH = "/var/lib/naru/daemon.log";
const LOCK_PATH = "/run/naru/autostart.lock";

const tryOpen = async (address: Address): Promise<Connection | undefined> => {
  try {
    return await Connection.open(address);
  } catch (error) {
    if (hasCode(error, "unavailable")) return undefined;
    throw error;
  }
};

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // ESRCH: the process that held the lock is gone.
    return false;
  }
};

/** True when the lock is ours now. A lock of a process that is gone, or too old, is taken away. */
const takeLock = (): boolean => {
  try {
    writeFileSync(LOCK_PATH, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (Reflect.get(Object(error), "code") !== "EEXIST") throw error;
  }
  try {
    const holder = Number(readFileSync(LOCK_PATH, "utf8"));
    const ageMs = Date.now() - statSync(LOCK_PATH).mtimeMs;
    // An empty lock is one that is being written this very moment.
    const isStale = (holder > 0 && !isAlive(holder)) || ageMs > READY_LIMIT_MS;
    if (isStale) rmSync(LOCK_PATH, { force: true });
  } catch (error) {
    if (Reflect.get(Object(error), "code") !== "ENOENT") throw error;
  }
  return false;
};

/** How this program is called again: as itself, or as a script of the runtime. */
const ownCommand = (): string[] =>
  Bun.main.startsWith("/$bunfs/") ? [process.execPath] : [process.execPath, Bun.main];

const spawnEngine = (): Bun.Subprocess => {
  mkdirSync("/var/lib/naru", { recursive: true, mode: 0o711 });
  const log = openSync(LOG_PATH, "a", 0o600);
  try {
    const child = Bun.spawn([...ownCommand(), "daemon"], {
      env: { ...process.env, [WITHOUT_COLLECTOR_TIMER.name]: WITHOUT_COLLECTOR_TIMER.value },
      stdin: "ignore",
      stdout: log,
      stderr: log,
      cwd: "/",
      detached: true,
    });
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
};

const lastLogLines = (): string => {
  try {
    return readFileSync(LOG_PATH, "utf8").trimEnd().split("\n").slice(-3).join("\n  ");
  } catch {
    // No log, nothing to quote.
    return "";
  }
};

const startFailure = (reason: string): NaruError =>
  new NaruError(
    "unavailable",
    `the engine ${reason}; its log "${LOG_PATH}" ends with:\n  ${lastLogLines()}\n` +
      "Run 'naru daemon' in another terminal to see it start, or 'naru doctor' to check this machine",
  );

const waitReady = async (
  address: Address,
  child: Bun.Subprocess | undefined,
  deadlineMs: number,
): Promise<Connection | undefined> => {
  while (monotonicMs() < deadlineMs) {
    const connection = await tryOpen(address);
    if (connection !== undefined) return connection;
    if (child !== undefined && child.exitCode !== null) {
      throw startFailure(`could not start (exit code ${String(child.exitCode)})`);
    }
    if (child === undefined && takeLock()) return undefined;
    await sleep(RETRY_MS);
  }
  throw startFailure(`was not ready within ${String(READY_LIMIT_MS / 1000)} seconds`);
};

/** Resolves to a connection to the engine, which runs by then. */
export const startEngine = async (address: Address, output: Output): Promise<Connection> => {
  if (process.getuid?.() !== 0) {
    throw new NaruError(
      "unavailable",
      "no engine is running, and only root can start one: run 'sudo naru daemon', or install it " +
        "as a service with 'sudo naru service install', or name another engine with -H",
    );
  }
  mkdirSync("/run/naru", { recursive: true, mode: 0o711 });
  const deadlineMs = monotonicMs() + READY_LIMIT_MS;
  if (!takeLock()) {
    const connection = await waitReady(address, undefined, deadlineMs);
    if (connection !== undefined) return connection;
  }
  try {
    // Another command may have started it between our first try and the lock.
    const running = await tryOpen(address);
    if (running !== undefined) return running;
    if (await output.isTerminal("stderr")) await output.write("stderr", "Starting the engine…\n");
    const connection = await waitReady(address, spawnEngine(), deadlineMs);
    if (connection === undefined) throw startFailure("could not be started");
    return connection;
  } finally {
    rmSync(LOCK_PATH, { force: true });
  }
};
