/** argv of this very program, for children that do bulk work. Run from source, bun needs the script. */
export const workerCommand = (): string[] =>
  Bun.main.startsWith("/$bunfs/")
    ? [process.execPath, "_worker"]
    : [process.execPath, Bun.main, "_worker"];
