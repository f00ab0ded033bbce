/** What an engine may leave behind: mounts, links, rules, processes, cgroups. */
import { type Dirent, readdirSync, readFileSync, readlinkSync } from "node:fs";

import type { Isolation } from "./isolation.ts";

export interface WorldSnapshot {
  readonly mounts: ReadonlySet<string>;
  readonly links: ReadonlySet<string>;
  readonly tables: ReadonlySet<string>;
  readonly cgroups: ReadonlySet<string>;
}

const lines = (text: string): ReadonlySet<string> =>
  new Set(text.split("\n").filter((line) => line.trim() !== ""));

/** Hierarchies of cgroups are the host's: crun needs them mounted, and they stay so for good. */
const isHierarchy = (line: string): boolean => / \/sys\/fs\/cgroup\/[\w,]+ .* - cgroup /.test(line);

const mountPoints = (mountinfo: string): ReadonlySet<string> =>
  new Set(
    mountinfo
      .split("\n")
      .filter((line) => !isHierarchy(line))
      .map((line) => line.split(" ")[4] ?? "")
      .filter((path) => path !== ""),
  );

/** Empty where it went away meanwhile: others run their tests beside. */
const entriesOf = (path: string): readonly Dirent[] => {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
};

const cgroupDirs = (): ReadonlySet<string> => {
  const found = new Set<string>();
  const walk = (path: string, depth: number): void => {
    found.add(path);
    if (depth === 0) return;
    for (const entry of entriesOf(path)) {
      if (entry.isDirectory()) walk(`${path}/${entry.name}`, depth - 1);
    }
  };
  walk("/sys/fs/cgroup", 3);
  return found;
};

/** The world as it is now, to compare with later. */
export const snapshotWorld = async (world: Isolation): Promise<WorldSnapshot> => {
  const links = await world.exec(["ip", "-o", "link", "show"]);
  const tables = await world.exec(["nft", "list", "tables"]);
  return {
    mounts: mountPoints(readFileSync(`/proc/${world.holderPid}/mountinfo`, "utf8")),
    links: new Set([...lines(links.stdout)].map((line) => line.split(": ")[1] ?? line)),
    tables: lines(tables.stdout),
    cgroups: cgroupDirs(),
  };
};

const attempt = <T>(read: () => T): T | undefined => {
  try {
    return read();
  } catch {
    // The process ended while it was looked at.
    return undefined;
  }
};

/** Processes that live in the world's namespaces or name its folder, besides the holder. */
const processesOf = (world: Isolation, base: string): readonly string[] => {
  const own = attempt(() => readlinkSync(`/proc/${world.holderPid}/ns/mnt`));
  const found: string[] = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === world.holderPid || pid === process.pid) continue;
    const mnt = attempt(() => readlinkSync(`/proc/${pid}/ns/mnt`));
    const command = attempt(() => readFileSync(`/proc/${pid}/cmdline`, "utf8")) ?? "";
    const words = command.replaceAll("\0", " ").trim();
    if (words === "") continue;
    if (mnt === own || words.includes(`${base}/`)) found.push(`process ${pid}: ${words}`);
  }
  return found;
};

/** Everything in the world that was not there before; an empty list is the good answer. */
export const findLeftovers = async (
  world: Isolation,
  before: WorldSnapshot,
  base: string,
): Promise<readonly string[]> => {
  const now = await snapshotWorld(world);
  const extra = (what: string, old: ReadonlySet<string>, set: ReadonlySet<string>): string[] =>
    [...set].filter((item) => !old.has(item)).map((item) => `${what} ${item}`);
  return [
    ...extra("mount", before.mounts, now.mounts),
    ...extra("link", before.links, now.links),
    ...extra("nft", before.tables, now.tables),
    ...processesOf(world, base),
  ];
};

/** Cgroup folders anywhere whose path has one of these names. */
export const cgroupsWith = (names: readonly string[]): readonly string[] =>
  names.length === 0
    ? []
    : [...cgroupDirs()]
        .filter((path) => names.some((name) => path.includes(`/${name}`)))
        .map((path) => `cgroup ${path}`);

/**
 * The engine's own cgroup names: the first part of the path of a container's process that no
 * other engine shares (an id of the instance is expected in it).
 */
export const cgroupParentOf = (pid: number): string | undefined => {
  const text = attempt(() => readFileSync(`/proc/${pid}/cgroup`, "utf8")) ?? "";
  const line = text.split("\n").find((l) => l.includes(":memory:")) ?? text.split("\n")[0] ?? "";
  const parts = line.split(":").slice(2).join(":").split("/").filter(Boolean);
  return parts.length > 1 ? parts[0] : undefined;
};
