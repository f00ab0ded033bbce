/** What a daemon that died left half-made: links to namespaces, and cables, that nobody owns. */
import { readdirSync, rmdirSync, statSync } from "node:fs";
import { sleep } from "#lib/clock.ts";
import type { Logger } from "#lib/log.ts";
import type { NetworkHost } from "#network/host.ts";

/** Cables of a namespace that goes are gone by then; those that are not, nobody owns. */
const CABLE_SWEEP_DELAY_MS = 200;

/** A link whose process has ended, or that a reboot left, leads nowhere; a plain file is no namespace. */
export const isNetnsAlive = (netnsRoot: string, netnsPath: string): boolean => {
  const file = statSync(netnsPath, { throwIfNoEntry: false });
  return file !== undefined && file.dev !== statSync(netnsRoot).dev;
};

export const removeStrayNetns = (
  host: NetworkHost,
  netnsRoot: string,
  keep: ReadonlySet<string>,
): void => {
  if (statSync(netnsRoot, { throwIfNoEntry: false }) === undefined) return;
  for (const name of readdirSync(netnsRoot)) {
    const path = `${netnsRoot}/${name}`;
    if (!keep.has(path)) host.removeNetns(path);
  }
};

/** The empty directory goes; one that is a mount of its own stays for whoever mounted it. */
export const removeNetnsRoot = (netnsRoot: string): void => {
  try {
    rmdirSync(netnsRoot);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "EBUSY") throw error;
  }
};

/** A cable into a kept namespace whose making or unmaking a death of the daemon cut short. */
export const sweepCables = async (
  host: NetworkHost,
  logger: Logger,
  names: readonly string[],
  signal: AbortSignal,
): Promise<void> => {
  if (names.length === 0) return;
  try {
    await sleep(CABLE_SWEEP_DELAY_MS, signal);
    const strays = names.filter((name) => host.hasLink(name));
    if (strays.length > 0) await host.removeLinks(strays);
  } catch (error) {
    if (!signal.aborted) {
      logger.warn("cables without an owner stayed", { names, error: String(error) });
    }
  }
};
