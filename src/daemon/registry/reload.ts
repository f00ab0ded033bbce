/**
 * SIGHUP, or a changed configuration file, certificate or key: a running registry takes up what can change without a
 * restart. Connections and uploads go on; those that come see what is new. A configuration that is wrong changes
 * nothing but the log.
 */
import { statSync } from "node:fs";
import type { Logger } from "#lib/log.ts";
import type { RegistryConfig } from "#daemon/registry/config.ts";

const LOOK_EVERY_MS = 2000;

/** Taken as they are. `tls` counts where there was a certificate before. */
const RELOADABLE = [
  "tls",
  "htpasswdPath",
  "patience",
  "maxConnections",
  "rules",
  "access",
  "upkeep",
] as const;
/** Of `limits`; the others size what is made at the start. */
const RELOADABLE_LIMITS = ["maxUploads", "maxBlobBytes", "uploadExpiryMs", "maxPage"] as const;

export interface RegistryReload {
  /** The running configuration with what may change taken from the new one. */
  readonly config: RegistryConfig;
  readonly applied: readonly string[];
  /** What differs and waits for a restart. */
  readonly waiting: readonly string[];
}

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const changedKeys = <T extends object>(a: T, b: T): (keyof T & string)[] =>
  (Object.keys(b) as (keyof T & string)[]).filter((key) => !isSame(a[key], b[key]));

const taken = <T extends object>(running: T, next: T, keys: readonly (keyof T)[]): T => ({
  ...running,
  ...(Object.fromEntries(keys.map((key) => [key, next[key]])) as Partial<T>),
});

/** Pure. */
export const planRegistryReload = (
  running: RegistryConfig,
  next: RegistryConfig,
): RegistryReload => {
  const startsTls = (running.tls === undefined) !== (next.tls === undefined);
  const keys = RELOADABLE.filter((key) => key !== "tls" || !startsTls);
  const limits = taken(running.limits, next.limits, RELOADABLE_LIMITS);
  const config = { ...taken(running, next, keys), limits };
  const differing = changedKeys(config, next).filter((key) => key !== "limits");
  return {
    config,
    applied: changedKeys(running, config),
    waiting: [...differing, ...changedKeys(limits, next.limits)],
  };
};

/** What `current` is at the time of each use. Its methods keep their `this`. */
export const liveView = <T extends object>(current: () => T): T =>
  new Proxy({} as T, {
    get: (_, key): unknown => {
      const target = current();
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });

const stampOf = (path: string): string => {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? "" : `${stat.ino} ${stat.size} ${stat.mtimeMs}`;
};

const filesOf = ({ configPath, tls }: RegistryConfig): readonly string[] =>
  [configPath, tls?.certPath, tls?.keyPath].filter((path) => path !== undefined);

export interface Reloader extends Disposable {
  /** One after the other; never rejects. */
  reload(reason: string): Promise<void>;
}

export interface ReloadOptions {
  readonly current: () => RegistryConfig;
  /** Reads files and flags again. Throws for what is wrong. */
  readonly read: () => RegistryConfig;
  /** Makes everything that is new first, then takes it up. Throws before anything has changed. */
  readonly apply: (next: RegistryConfig) => Promise<void>;
  readonly log: Logger;
}

export const startReloader = ({ current, read, apply, log }: ReloadOptions): Reloader => {
  const stamps = (): string => filesOf(current()).map(stampOf).join("|");
  let seen = stamps();
  let tail: Promise<void> = Promise.resolve();
  const once = async (reason: string): Promise<void> => {
    try {
      const { config, applied, waiting } = planRegistryReload(current(), read());
      // Certificates are read again under the same names.
      await apply(config);
      log.info("the configuration was read again", { reason, applied, waiting });
      if (waiting.length > 0) log.warn("these changes wait for a restart", { waiting });
    } catch (error) {
      log.error("the configuration was not taken: what counted before goes on", { reason, error });
    }
  };
  const reload = (reason: string): Promise<void> => {
    seen = stamps();
    tail = tail.then(() => once(reason));
    return tail;
  };
  const timer = setInterval(() => {
    if (stamps() !== seen) void reload("a file changed");
  }, LOOK_EVERY_MS).unref();
  return { reload, [Symbol.dispose]: () => clearInterval(timer) };
};
