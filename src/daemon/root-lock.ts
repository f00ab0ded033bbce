/**
 * One daemon per data root and per exec root. The lock is the kernel's (flock), so it ends with the
 * daemon however that ends; the file says for people and for `naru system reset` who holds it.
 */
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { writeFileAtomic } from "#lib/atomic-file.ts";
import { monotonicMs, sleep } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import type { Kernel } from "#kernel/kernel.ts";

export const lockPathOf = (root: string): string => `${root}/daemon.lock`;

/** Process id of the daemon that holds the root; undefined when none does. */
export const lockHolder = (
  kernel: Pick<Kernel, "lockFile" | "startTime">,
  root: string,
): number | undefined => {
  const path = lockPathOf(root);
  if (!existsSync(path)) return undefined;
  const fd = openSync(path, "r");
  try {
    if (kernel.lockFile(fd)) return undefined;
    const pid = Number(readFileSync(path, "utf8"));
    return pid > 0 && kernel.startTime(pid) !== undefined ? pid : undefined;
  } finally {
    closeSync(fd);
  }
};

/** A child that a killed daemon was just starting holds its lock for as long as it takes to become another program. */
const LAST_HOLD_MS = 2000;
const RETRY_MS = 2;

/** Throws failed_precondition naming the daemon that runs. The root must exist. */
export const lockRoot = async (
  kernel: Pick<Kernel, "lockFile" | "startTime">,
  root: string,
): Promise<Disposable> => {
  const path = lockPathOf(root);
  const fd = openSync(path, "a+", 0o600);
  const deadlineMs = monotonicMs() + LAST_HOLD_MS;
  while (!kernel.lockFile(fd)) {
    const pid = lockHolder(kernel, root);
    if (pid === undefined && monotonicMs() < deadlineMs) {
      // oxlint-disable-next-line no-await-in-loop -- the pause between two tries
      await sleep(RETRY_MS);
      continue;
    }
    closeSync(fd);
    throw new NaruError(
      "failed_precondition",
      `another naru daemon${pid === undefined ? "" : ` (process ${pid})`} uses "${root}": stop it, or give this one a --data-root and --exec-root of its own`,
    );
  }
  ftruncateSync(fd);
  writeSync(fd, `${process.pid}\n`);
  // The file stays: who removed it could take the name from under the next daemon's lock.
  return { [Symbol.dispose]: () => closeSync(fd) };
};

const ownerPathOf = (execRoot: string): string => `${execRoot}/instance`;

export interface ExecRootOwner {
  readonly instance: string;
  readonly dataRoot: string;
}

/** Whose containers live in this exec root; undefined when nobody's ever did. */
export const execRootOwner = (execRoot: string): ExecRootOwner | undefined => {
  const path = ownerPathOf(execRoot);
  if (!existsSync(path)) return undefined;
  const [, instance = "", dataRoot = ""] = /^(\S+) (.*)\n?$/.exec(readFileSync(path, "utf8")) ?? [];
  return { instance, dataRoot };
};

/**
 * An exec root holds the sockets and bundles of running containers: a daemon of another data root
 * would sweep them away as orphans. Throws failed_precondition when another instance has it.
 */
export const claimExecRoot = (execRoot: string, dataRoot: string, instance: string): void => {
  const owner = execRootOwner(execRoot);
  if (owner?.instance === instance && owner.dataRoot === dataRoot) return;
  if (owner !== undefined && owner.instance !== instance) {
    const remedy =
      owner.dataRoot === dataRoot
        ? `its data is gone; 'naru system reset --data-root ${dataRoot} --exec-root ${execRoot}' removes what is left of it`
        : "give this one an --exec-root of its own";
    throw new NaruError(
      "failed_precondition",
      `exec root "${execRoot}" belongs to the daemon of "${owner.dataRoot}" (instance ${owner.instance}): ${remedy}`,
    );
  }
  writeFileAtomic(ownerPathOf(execRoot), `${instance} ${dataRoot}\n`, { isDurable: false });
};
