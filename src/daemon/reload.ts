/** SIGHUP: the configuration is read again, and what can change while the daemon runs changes. */
import type { DaemonConfig } from "#daemon/config.ts";

/** Everything else is built into the rooms and needs a restart. */
const RELOADABLE = ["logLevel", "logFormat", "labels", "shutdownTimeoutSeconds"] as const;

export interface Reload {
  /** The running configuration with what may change taken from the new one. */
  readonly config: DaemonConfig;
  /** Fields that took effect. */
  readonly applied: readonly string[];
  /** Fields that differ and wait for a restart. */
  readonly waiting: readonly string[];
}

const isReloadable = (key: string): boolean => (RELOADABLE as readonly string[]).includes(key);

/** Pure. */
export const planReload = (running: DaemonConfig, next: DaemonConfig): Reload => {
  const changed = Object.keys(next).filter(
    (key) => JSON.stringify(Reflect.get(next, key)) !== JSON.stringify(Reflect.get(running, key)),
  );
  const { logLevel, logFormat, labels, shutdownTimeoutSeconds } = next;
  return {
    config: Object.freeze({ ...running, logLevel, logFormat, labels, shutdownTimeoutSeconds }),
    applied: changed.filter(isReloadable),
    waiting: changed.filter((key) => !isReloadable(key)),
  };
};
