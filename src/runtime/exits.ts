/** Exit files: conmon writes `<directory>/<id>` with the exit code; its mtime is the time of the end. */
import { existsSync, readFileSync, statSync, unlinkSync } from "node:fs";
import type { WatchKernel } from "#kernel/directory-watch.ts";
import { formatInstant } from "#lib/clock.ts";
import type { ExitNotice } from "#runtime/runtime.ts";

export class ExitFiles {
  readonly #directory: string;
  readonly #listeners: ((notice: ExitNotice) => void)[] = [];
  readonly #told = new Set<string>();
  readonly #watch: Disposable;

  constructor(directory: string, kernel: WatchKernel) {
    this.#directory = directory;
    // conmon writes a temporary name and renames it: the file is whole when it is seen.
    const isWhole = (name: string): boolean => !name.includes(".");
    this.#watch = kernel.watchDirectory(
      directory,
      (change, name) => {
        if (change === "appeared" && isWhole(name)) this.#tell(name);
      },
      "arrivals",
    );
  }

  onExit(listener: (notice: ExitNotice) => void): void {
    this.#listeners.push(listener);
  }

  read(id: string): ExitNotice | undefined {
    const path = `${this.#directory}/${id}`;
    if (!existsSync(path)) return undefined;
    const text = readFileSync(path, "utf8").trim();
    if (!/^-?\d+$/.test(text)) return undefined;
    const finishedAt = formatInstant(statSync(path, { bigint: true }).mtimeNs);
    return { id, exitCode: Number(text), finishedAt };
  }

  /** The next process of this id is a new one. */
  forget(id: string): void {
    this.#told.delete(id);
    try {
      unlinkSync(`${this.#directory}/${id}`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }

  close(): void {
    this.#watch[Symbol.dispose]();
  }

  #tell(id: string): void {
    if (this.#told.has(id)) return;
    const notice = this.read(id);
    if (notice === undefined) return;
    this.#told.add(id);
    for (const listener of this.#listeners) listener(notice);
  }
}
