/** `naru registry serve`: construct, sweep, serve, shut down. */
import { mkdirSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { type Logger, createLogger } from "#lib/log.ts";
import { createKernel } from "#kernel/real.ts";
import { openDatabase } from "#database/database.ts";
import { openContent } from "#content/store.ts";
import { REGISTRY_MIGRATIONS } from "#metadata/registry/schema.ts";
import { createRegistryRows } from "#metadata/registry/rows.ts";
import { OPEN_ACCESS } from "#registry/access/access.ts";
import { createLocalRegistry } from "#registry/local.ts";
import { SILENT_OBSERVER } from "#registry/observer.ts";
import { createRules } from "#registry/rules.ts";
import { createDistributionServer } from "#api/distribution/api.ts";
import type { HttpServer } from "#api/http/server.ts";
import type { OnConnection } from "#daemon/listener.ts";
import { createStderrLog } from "#daemon/log-sink.ts";
import { type RegistryConfig, parseRegistryConfig } from "#daemon/registry/config.ts";
import { registryHelp } from "#daemon/registry/help.ts";
import { listenRegistry } from "#daemon/registry/listen.ts";
import { lockRoot } from "#daemon/root-lock.ts";
import { watchSignals } from "#daemon/signals.ts";

const STDOUT = 1;
const SHUTDOWN_SECONDS = 15;

const acceptUpTo = (limit: number, server: HttpServer, log: Logger): OnConnection => {
  let isFull = false;
  return (socket) => {
    const hasRoom = server.connectionCount < limit;
    if (!hasRoom && !isFull) log.warn("too many connections: refusing further ones", { limit });
    isFull = !hasRoom;
    if (hasRoom) server.onConnection(socket);
    else socket.destroy();
  };
};

const serve = async (config: RegistryConfig, log: Logger): Promise<void> => {
  await using cleanup = new AsyncDisposableStack();
  const root = resolve(config.dataRoot);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const kernel = createKernel();
  cleanup.use(lockRoot(kernel, root));
  const database = openDatabase(`${root}/registry.db`, REGISTRY_MIGRATIONS, { isPowerSafe: true });
  cleanup.defer(() => database.close());
  const content = openContent(`${root}/content`);
  content.sweepIngests();
  const rows = createRegistryRows(database);
  const rules = createRules(config.rules);
  const { limits, patience } = config;
  const registry = createLocalRegistry({ root, content, rows, rules, limits, log });
  cleanup.defer(() => registry.close());
  const server = createDistributionServer({
    registry,
    access: OPEN_ACCESS,
    observer: SILENT_OBSERVER,
    patience,
    extras: new Map(),
    logger: log,
  });
  const stopped = watchSignals(log, {
    reload: () => undefined,
    shutdownTimeoutSeconds: () => SHUTDOWN_SECONDS,
  });
  const onConnection = acceptUpTo(config.maxConnections, server, log);
  const listener = await listenRegistry(config.addr, config.tls, onConnection, log);
  cleanup.defer(() => server.close(SHUTDOWN_SECONDS * 1000));
  cleanup.defer(() => listener.close());
  writeSync(STDOUT, `ready ${listener.address}\n`);
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
  process.on("unhandledRejection", (error) => {
    log.error("a promise nobody awaited failed", { error: String(error) });
  });
  try {
    if (verb !== "serve") {
      throw new NaruError(
        "invalid_argument",
        `"${verb}" is not a command of naru registry: use serve`,
      );
    }
    await serve(parseRegistryConfig(rest), log);
    return process.exit(0);
  } catch (error) {
    const { message, code } = toNaruError(error);
    log.error(message, { code });
    return 1;
  }
};
