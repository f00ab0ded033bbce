/** Reading and writing the files of one cgroup, v1 or v2. */
import { existsSync, readFileSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { CgroupLayout } from "#kernel/cgroup-layout.ts";
import { writeControlFile } from "#kernel/control-file.ts";

export const checkCgroupPath = (cgroupPath: string): string => {
  const parts = cgroupPath.split("/").slice(1);
  const isWrong = parts.length === 0 || parts.some((part) => ["", ".", ".."].includes(part));
  if (cgroupPath.startsWith("/") && !isWrong) return cgroupPath;
  throw new NaruError("invalid_argument", `"${cgroupPath}" is not an absolute cgroup path`);
};

/** Directory by controller, whether or not it exists. */
export const directoriesOf = (layout: CgroupLayout, cgroupPath: string): Map<string, string> => {
  checkCgroupPath(cgroupPath);
  return new Map([...layout.mountPoints].map(([name, point]) => [name, point + cgroupPath]));
};

const V2_ALWAYS_THERE = "unified";

/** The files of one cgroup, found by controller. */
export class CgroupFiles {
  readonly cgroupPath: string;
  readonly isV2: boolean;
  readonly directories: ReadonlyMap<string, string>;

  /** Throws `not_found` when the cgroup exists in no hierarchy. */
  constructor(layout: CgroupLayout, cgroupPath: string) {
    this.cgroupPath = cgroupPath;
    this.isV2 = layout.mode === "v2";
    this.directories = directoriesOf(layout, cgroupPath);
    if (![...this.directories.values()].some((directory) => existsSync(directory))) {
      throw this.#missing("every hierarchy");
    }
  }

  #missing(where: string): NaruError {
    return new NaruError(
      "not_found",
      `the cgroup "${this.cgroupPath}" does not exist in ${where}`,
      {
        details: { errno: "ENOENT", path: this.cgroupPath },
      },
    );
  }

  /** On v2 also for controllers that are not on: some files exist without their controller. */
  directory(controller: string): string | undefined {
    const { directories } = this;
    return (
      directories.get(controller) ?? (this.isV2 ? directories.get(V2_ALWAYS_THERE) : undefined)
    );
  }

  /** Undefined when the controller or the file does not exist. */
  read(controller: string, file: string): string | undefined {
    const directory = this.directory(controller);
    if (directory === undefined) return undefined;
    try {
      return readFileSync(`${directory}/${file}`, "utf8").trim();
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      // ENODEV: the cgroup went away between open and read.
      if (code === "ENOENT" || code === "ENODEV" || code === "EOPNOTSUPP") return undefined;
      throw error;
    }
  }

  /** A number; undefined when absent or "max". */
  readNumber(controller: string, file: string): number | undefined {
    const text = this.read(controller, file);
    return text === undefined || text === "max" || text === "" ? undefined : Number(text);
  }

  /** Lines of `name value`. */
  readTable(controller: string, file: string): Record<string, number> {
    const table: Record<string, number> = {};
    for (const line of (this.read(controller, file) ?? "").split("\n")) {
      const blank = line.indexOf(" ");
      if (blank > 0) table[line.slice(0, blank)] = Number(line.slice(blank + 1));
    }
    return table;
  }

  /** Throws `not_implemented` when this host has no such knob, `not_found` when the cgroup is gone. */
  write(controller: string, file: string, value: string): void {
    const directory = this.directory(controller);
    if (directory === undefined) {
      throw new NaruError(
        "not_implemented",
        `this host has no cgroup controller "${controller}", so "${file}" cannot be set`,
      );
    }
    const path = `${directory}/${file}`;
    if (!existsSync(path)) {
      if (!existsSync(directory)) throw this.#missing(directory);
      throw new NaruError("not_implemented", `this host's kernel has no cgroup file "${file}"`, {
        details: { errno: "ENOENT", call: "write", path },
      });
    }
    writeControlFile(path, value);
  }
}
