/**
 * What a daemon leaves outside of its data root, written down in it: `naru system reset` is told the
 * data root only.
 */
import { existsSync, readFileSync } from "node:fs";
import { writeFileAtomic } from "#lib/atomic-file.ts";
import type { DaemonConfig } from "#daemon/config.ts";

export interface Traces {
  readonly execRoot: string;
  /** Paths of the unix sockets it made. */
  readonly sockets: readonly string[];
  readonly cgroupParent: string | undefined;
}

const pathOf = (dataRoot: string): string => `${dataRoot}/traces.json`;

export const writeTraces = (config: DaemonConfig): void => {
  const { execRoot, hosts, cgroupParent } = config;
  const sockets = hosts
    .filter((host) => host.startsWith("unix://"))
    .map((host) => host.slice("unix://".length));
  const text = `${JSON.stringify({ execRoot, sockets, cgroupParent })}\n`;
  const path = pathOf(config.dataRoot);
  if (existsSync(path) && readFileSync(path, "utf8") === text) return;
  writeFileAtomic(path, text, { isDurable: false });
};

/** undefined where no daemon ever started, or its file is torn. */
export const readTraces = (dataRoot: string): Traces | undefined => {
  const path = pathOf(dataRoot);
  if (!existsSync(path)) return undefined;
  try {
    const { execRoot, sockets, cgroupParent } = JSON.parse(readFileSync(path, "utf8")) as Traces;
    return { execRoot, sockets, cgroupParent };
  } catch {
    return undefined; // the caller falls back to the defaults
  }
};
