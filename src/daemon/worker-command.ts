import { statSync } from "node:fs";
import { REVISION, VERSION } from "#lib/version.ts";

/** argv of this very program, for children that do bulk work. Run from source, bun needs the script. */
export const workerCommand = (): string[] =>
  Bun.main.startsWith("/$bunfs/")
    ? [process.execPath, "_worker"]
    : [process.execPath, Bun.main, "_worker"];

/**
 * The same for work that is mostly the kernel's and libraries': without the optimising compilers, whose threads take a
 * fifth of a pull's processor time in each worker anew and make it no faster (measured, up to 100,000 entries).
 */
export const bulkWorkerCommand = (): string[] => {
  const env = Bun.which("env");
  return [...(env === null ? [] : [env, "BUN_JSC_useDFGJIT=0"]), ...workerCommand()];
};

/** Tells this program from another build of it. */
export const buildOfProgram = (): string => {
  const { mtimeMs, size } = statSync(process.execPath);
  return `${VERSION}-${REVISION}-${size}-${Math.trunc(mtimeMs)}`;
};
