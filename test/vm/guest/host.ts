/** What of the machine must be as before once naru was reset. */
import { existsSync, readFileSync, readdirSync } from "node:fs";

import { must } from "../../harness/process.ts";
import { CGROUPS, DATA_ROOT } from "./engine.ts";

export interface HostState {
  readonly mounts: readonly string[];
  readonly links: readonly string[];
  readonly tables: readonly string[];
  readonly cgroups: readonly string[];
  readonly processes: readonly string[];
  readonly roots: readonly string[];
}

const cgroupsBelow = (directory: string): string[] =>
  readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => {
      const path = `${directory}/${entry.name}`;
      return [path, ...cgroupsBelow(path)];
    });

const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");

/** User processes by command line; the kernel's threads have none. */
const processes = (): string[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim()];
      } catch {
        return []; // It ended meanwhile.
      }
    })
    .filter((command) => command !== "")
    .toSorted();

export const hostState = async (): Promise<HostState> => ({
  mounts: lines(readFileSync("/proc/self/mountinfo", "utf8")).map(
    (line) => line.split(" ")[4] ?? "",
  ),
  links: lines(await must(["ip", "-o", "link", "show"])).map((line) => line.split(": ")[1] ?? line),
  tables: lines(await must(["nft", "list", "tables"])),
  cgroups: cgroupsBelow(CGROUPS),
  processes: processes(),
  roots: [DATA_ROOT, "/run/naru"].filter((path) => existsSync(path)),
});

/** What is there now and was not before. */
export const leftovers = (before: HostState, now: HostState): string[] =>
  (Object.keys(before) as (keyof HostState)[]).flatMap((kind) =>
    now[kind].filter((item) => !before[kind].includes(item)).map((item) => `${kind}: ${item}`),
  );
