/** SIGHUP: the configuration is read again, and what can change while the daemon runs changes. */
import { hostname } from "node:os";
import { type DaemonConfig, parseDaemonConfig } from "#daemon/config.ts";
import type { Running } from "#daemon/running.ts";
import { toNaruError } from "#lib/errors.ts";
import type { Rooms } from "#daemon/rooms.ts";

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

/** A configuration that is wrong changes nothing. */
export const reload = (running: Running, events: Rooms["events"], instance: string): void => {
  const { log, stderr } = running;
  try {
    const { config, applied, waiting } = planReload(
      running.config,
      parseDaemonConfig(running.argv),
    );
    running.config = config;
    stderr.configure(config.logLevel, config.logFormat);
    log.info("read the configuration again", { applied });
    if (waiting.length > 0) log.warn("these changes wait for a restart", { waiting });
    const debug = String(config.logLevel === "debug");
    const labels = JSON.stringify(config.labels);
    events.publish({
      Type: "daemon",
      Action: "reload",
      Actor: { ID: instance, Attributes: { name: hostname(), debug, labels } },
    });
  } catch (error) {
    log.error(`the configuration stays as it was: ${toNaruError(error).message}`);
  }
};
