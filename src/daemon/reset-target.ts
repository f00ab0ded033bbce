/** Which directories and names a `system reset` may touch: those of one daemon, and nobody else's. */
import { existsSync, readdirSync } from "node:fs";
import { resolve } from "node:path";
import { NaruError } from "#lib/errors.ts";
import { DEFAULT_DATA_ROOT, DEFAULT_EXEC_ROOT } from "#daemon/config.ts";
import { findInstance } from "#daemon/instance.ts";
import { execRootOwner } from "#daemon/root-lock.ts";
import { readTraces } from "#daemon/traces.ts";

export interface ResetTarget {
  readonly dataRoot: string;
  /** undefined: there is none, or it is another daemon's. */
  readonly execRoot: string | undefined;
  /** None: no daemon ever got far enough. Two: the data root was wiped and used again. */
  readonly instances: readonly string[];
  readonly sockets: readonly string[];
  readonly cgroupParent: string | undefined;
}

/** What may stand in a data root before its daemon has an instance id. */
const EARLY_FILES = new Set(["daemon.log", "daemon.lock", "lost+found"]);

const namesIn = (directory: string): string[] =>
  existsSync(directory) ? readdirSync(directory) : [];

const refuse = (message: string): never => {
  throw new NaruError("failed_precondition", `${message}: nothing was removed`);
};

/** A torn id is no reason to refuse: reset is the remedy for it. */
const instanceOf = (dataRoot: string): string | undefined => {
  try {
    return findInstance(dataRoot);
  } catch {
    return undefined;
  }
};

const assertDataRoot = (dataRoot: string): void => {
  const names = namesIn(dataRoot);
  if (names.includes("instance") || names.every((name) => EARLY_FILES.has(name))) return;
  refuse(`"${dataRoot}" is not the data root of a naru daemon`);
};

const execRootOf = (
  dataRoot: string,
  asked: string | undefined,
  instance: string | undefined,
): string | undefined => {
  const fallback = dataRoot === DEFAULT_DATA_ROOT ? DEFAULT_EXEC_ROOT : undefined;
  const execRoot = asked ?? readTraces(dataRoot)?.execRoot ?? fallback;
  if (execRoot === undefined || !existsSync(execRoot)) return undefined;
  const owner = execRootOwner(execRoot);
  const isOurs =
    owner !== undefined && (owner.instance === instance || owner.dataRoot === dataRoot);
  if (isOurs) return execRoot;
  if (asked === undefined) return undefined;
  return refuse(
    owner === undefined
      ? `"${execRoot}" is not the exec root of a naru daemon`
      : `exec root "${execRoot}" belongs to the daemon of "${owner.dataRoot}"`,
  );
};

/** Throws failed_precondition for directories that are not this daemon's. */
export const findResetTarget = (dataRootGiven: string, execRootGiven?: string): ResetTarget => {
  const dataRoot = resolve(dataRootGiven);
  assertDataRoot(dataRoot);
  const asked = execRootGiven === undefined ? undefined : resolve(execRootGiven);
  const known = instanceOf(dataRoot);
  const execRoot = execRootOf(dataRoot, asked, known);
  const owner = execRoot === undefined ? undefined : execRootOwner(execRoot);
  const { sockets = [], cgroupParent } = readTraces(dataRoot) ?? {};
  const instances = [known, owner?.instance].filter((id) => id !== undefined);
  return { dataRoot, execRoot, instances: [...new Set(instances)], sockets, cgroupParent };
};
