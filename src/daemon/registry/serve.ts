/** `naru registry serve`: construct, sweep, serve, shut down. */
import { accessSync, constants, mkdirSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { type Logger, createLogger } from "#lib/log.ts";
import { tellStrayFailures } from "#lib/stray-failures.ts";
import type { ProcessKernel } from "#kernel/kernel.ts";
import { createKernel } from "#kernel/real.ts";
import { fileSender } from "#kernel/send-file.ts";
import { type Database, openDatabase } from "#database/database.ts";
import { openContent } from "#content/store.ts";
import { REGISTRY_MIGRATIONS } from "#metadata/registry/schema.ts";
import { createRegistryRows } from "#metadata/registry/rows.ts";
import { createLocalRegistry, shareInputs } from "#registry/local.ts";
import type { Registry } from "#registry/registry.ts";
import { createDiskStorage } from "#registry/storage/disk.ts";
import type { BlobStorage } from "#registry/storage/storage.ts";
import { type Rules, createRules } from "#registry/rules.ts";
import { createDistributionServer } from "#api/distribution/api.ts";
import { createExtras } from "#api/distribution/extras.ts";
import type { HttpServer } from "#api/http/server.ts";
import type { OnConnection } from "#daemon/listener.ts";
import { createStderrLog } from "#daemon/log-sink.ts";
import { type RegistryConfig, parseRegistryConfig } from "#daemon/registry/config.ts";
import { registryHelp } from "#daemon/registry/help.ts";
import { wholeEnvironment } from "#daemon/config.ts";
import { type BuiltAccess, buildAccess } from "#daemon/registry/access.ts";
import { type RegistryListener, listenRegistry } from "#daemon/registry/listen.ts";
import { buildObservers } from "#daemon/registry/observers.ts";
import { liveView, startReloader } from "#daemon/registry/reload.ts";
import { type ScheduleConfig, scheduleUpkeep, upkeepMemory } from "#daemon/registry/schedule.ts";
import { lockRoot } from "#daemon/root-lock.ts";
import { watchSignals } from "#daemon/signals.ts";

const STDOUT = 1;
const SHUTDOWN_SECONDS = 15;
const QUIET_MS = 1000;
/** In ticks without a request; what the collection itself needs of the code goes with the rest. */
const COLLECT_AT = 3;
const RELEASE_AT = 4;

const acceptUpTo = (limitNow: () => number, server: HttpServer, log: Logger): OnConnection => {
  let isFull = false;
  return (socket) => {
    const limit = limitNow();
    const hasRoom = server.connectionCount < limit;
    if (!hasRoom && !isFull) log.warn("too many connections: refusing further ones", { limit });
    isFull = !hasRoom;
    if (hasRoom) server.onConnection(socket);
    else socket.destroy();
  };
};

/** Throws what keeps it from working: the database, or a disk that takes nothing. */
const healthOf = (database: Database, root: string) => (): void => {
  database.get("SELECT 1");
  accessSync(root, constants.W_OK);
};

/** What counts now: a reload takes its place as a whole. */
interface Live {
  config: RegistryConfig;
  rules: Rules;
  built: BuiltAccess;
}

const openStorage = async (
  root: string,
  { s3 }: RegistryConfig,
  log: Logger,
): Promise<BlobStorage> => {
  if (s3 !== undefined) {
    const { openS3Storage } = await import("#registry/storage/s3.ts");
    return await openS3Storage(s3, log);
  }
  const content = openContent(`${root}/content`);
  content.sweepIngests();
  return createDiskStorage(content);
};

const openStore = async (
  root: string,
  live: Live,
  log: Logger,
  database: Database,
  storage: BlobStorage,
): Promise<Registry> => {
  const { config } = live;
  const deps = shareInputs({
    root,
    storage,
    rows: createRegistryRows(database),
    rules: liveView(() => live.rules),
    limits: liveView(() => live.config.limits),
    log,
  });
  const local = createLocalRegistry(deps);
  if (config.upstreams.length === 0) return local;
  const { PullThrough } = await import("#registry/upstream/pull-through.ts");
  const { createRemote } = await import("#remote/client.ts");
  const { registryOptionsOf } = await import("#daemon/registry-config.ts");
  const options = new Map([["insecure-registries", config.insecureUpstreams]]);
  const { remote } = registryOptionsOf(options, wholeEnvironment());
  return new PullThrough(local, deps, config.upstreams, createRemote(remote));
};

/**
 * Code that ran once (the start, a first upload) is the kernel's to keep or drop; what is still needed comes back by
 * itself. While requests come nothing is done: those pages are in use.
 */
const releaseWhenQuiet = (
  kernel: Pick<ProcessKernel, "releaseCode">,
  count: () => number,
): Disposable => {
  let before = -1;
  let quietTicks = 0;
  const timer = setInterval(() => {
    const now = count();
    quietTicks = now === before ? quietTicks + 1 : 0;
    before = now;
    if (quietTicks === COLLECT_AT) Bun.gc(true);
    if (quietTicks === RELEASE_AT) kernel.releaseCode();
  }, QUIET_MS).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
};

/** Makes what is new before it takes the old one's place, so that a mistake changes nothing. */
const createApply =
  (
    live: Live,
    parts: {
      readonly root: string;
      readonly log: Logger;
      readonly listener: RegistryListener;
      readonly schedule: (config: ScheduleConfig) => Promise<void>;
    },
  ) =>
  async (next: RegistryConfig): Promise<void> => {
    const { root, log, listener, schedule } = parts;
    const built = await buildAccess(next, root, log);
    const rules = createRules(next.rules);
    if (next.tls !== undefined) listener.renewCertificate(next.tls);
    const hasNewUpkeep = JSON.stringify(next.upkeep) !== JSON.stringify(live.config.upkeep);
    Object.assign(live, { config: next, rules, built });
    if (hasNewUpkeep) await schedule(next.upkeep);
  };

const makeRoot = (root: string): void => {
  try {
    mkdirSync(root, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new NaruError(
      "invalid_argument",
      `--data-root "${root}" cannot be made: ${toNaruError(cause).message}`,
      { cause },
    );
  }
};

const serve = async (argv: readonly string[], log: Logger): Promise<void> => {
  await using cleanup = new AsyncDisposableStack();
  const config = parseRegistryConfig(argv);
  const root = resolve(config.dataRoot);
  makeRoot(root);
  const kernel = createKernel();
  cleanup.use(await lockRoot(kernel, root));
  const built = await buildAccess(config, root, log);
  const live: Live = { config, rules: createRules(config.rules), built };
  const database = openDatabase(`${root}/registry.db`, REGISTRY_MIGRATIONS, { isPowerSafe: true });
  cleanup.defer(() => database.close());
  const storage = cleanup.use(await openStorage(root, config, log));
  const registry = await openStore(root, live, log, database, storage);
  cleanup.defer(() => registry.close());
  const scheme = config.tls === undefined ? "http" : "https";
  const { metrics, observer } = cleanup.use(
    await buildObservers(config.observe, `${scheme}://${config.addr}`, root, log),
  );
  const access = liveView(() => live.built.access);
  const extras = createExtras({
    registry,
    access,
    observer,
    metrics: () => metrics.text(registry.totals(), server.connectionCount),
    isMetricsOpen: config.observe.isMetricsOpen,
    checkHealth: healthOf(database, root),
    tokenEndpoint: () => live.built.tokenEndpoint,
  });
  const patience = liveView(() => live.config.patience);
  const server: HttpServer = createDistributionServer({
    registry,
    access,
    observer,
    patience,
    fileSender,
    extras,
    logger: log,
  });
  const onConnection = acceptUpTo(() => live.config.maxConnections, server, log);
  const listener = await listenRegistry(config.addr, config.tls, onConnection, log);
  const upkeepParts = { registry, observer, log, memory: upkeepMemory(root) };
  let upkeep = scheduleUpkeep(upkeepParts, config.upkeep);
  cleanup.defer(() => upkeep[Symbol.asyncDispose]());
  const schedule = async (next: ScheduleConfig): Promise<void> => {
    await upkeep[Symbol.asyncDispose]();
    upkeep = scheduleUpkeep(upkeepParts, next);
  };
  const reloader = startReloader({
    current: () => live.config,
    read: () => parseRegistryConfig(argv),
    apply: createApply(live, { root, log, listener, schedule }),
    log,
  });
  cleanup.use(reloader);
  const stopped = watchSignals(log, {
    reload: () => void reloader.reload("SIGHUP"),
    shutdownTimeoutSeconds: () => SHUTDOWN_SECONDS,
  });
  cleanup.defer(() => server.close(SHUTDOWN_SECONDS * 1000));
  cleanup.defer(() => listener.close());
  writeSync(STDOUT, `ready ${listener.address}\n`);
  Bun.unsafe.setJITPolicy(1);
  cleanup.use(releaseWhenQuiet(kernel, () => metrics.requestCount));
  await stopped;
};

/** `argv` after "registry". Exit code: 0 after SIGTERM, 1 when it could not start. */
export const runRegistry = async (argv: readonly string[]): Promise<number> => {
  const [verb, ...rest] = argv;
  if (verb === undefined || argv.includes("--help") || argv.includes("-h")) {
    writeSync(STDOUT, registryHelp());
    return verb === undefined ? 1 : 0;
  }
  const log = createLogger(createStderrLog().sink);
  tellStrayFailures(log);
  try {
    if (verb === "collect" || verb === "retention") {
      const { runUpkeep } = await import("#daemon/registry/upkeep-command.ts");
      await runUpkeep(verb, rest);
      return 0;
    }
    if (verb !== "serve") {
      throw new NaruError(
        "invalid_argument",
        `"${verb}" is not a command of naru registry: use serve, collect or retention`,
      );
    }
    await serve(rest, log);
    return process.exit(0);
  } catch (error) {
    const { message, code } = toNaruError(error);
    log.error(message, { code });
    return 1;
  }
};
