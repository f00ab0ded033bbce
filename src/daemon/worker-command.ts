import { statSync } from "node:fs";
import { REVISION, VERSION } from "#lib/version.ts";

/** argv of this very program, for children that do bulk work. Run from source, bun needs the script. */
export const workerCommand = (): string[] =>
  Bun.main.startsWith("/$bunfs/")
    ? [process.execPath, "_worker"]
    : [process.execPath, Bun.main, "_worker"];

/** Tells this program from another build of it. */
export const buildOfProgram = (): string => {
  const { mtimeMs, size } = statSync(process.execPath);
  return `${VERSION}-${REVISION}-${size}-${Math.trunc(mtimeMs)}`;
};
