import { statSync } from "node:fs";
import { WITHOUT_COLLECTOR_TIMER } from "#lib/runtime-settings.ts";
import { REVISION, VERSION } from "#lib/version.ts";

/** argv of this very program, for children that do bulk work. Run from source, bun needs the script. */
export const workerCommand = (): string[] =>
  Bun.main.startsWith("/$bunfs/")
    ? [process.execPath, "_worker"]
    : [process.execPath, Bun.main, "_worker"];

/** The runtime hands its children the environment that it began with, whatever was taken out of it since. */
const beginningWith = (...settings: readonly string[]): string[] => {
  const env = Bun.which("env");
  const own = ["-u", WITHOUT_COLLECTOR_TIMER.name, ...settings];
  return [...(env === null ? [] : [env, ...own]), ...workerCommand()];
};

/** The same for processes beside the daemon, which stay: they keep the runtime's timer, which the daemon is without. */
export const companionCommand = (): string[] => beginningWith();

/**
 * The same for work that is mostly the kernel's and libraries': with that timer, and without the optimising compilers,
 * whose threads take a fifth of a pull's processor time in each worker anew and make it no faster (measured, up to
 * 100,000 entries).
 */
export const bulkWorkerCommand = (): string[] => beginningWith("BUN_JSC_useDFGJIT=0");

/** Tells this program from another build of it. */
export const buildOfProgram = (): string => {
  const { mtimeMs, size } = statSync(process.execPath);
  return `${VERSION}-${REVISION}-${size}-${Math.trunc(mtimeMs)}`;
};
