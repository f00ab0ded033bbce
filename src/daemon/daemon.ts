/** `naru daemon`: construct, restore, serve, shut down. Containers run on when it stops. */
import { mkdirSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { writeFileAtomic } from "#lib/atomic-file.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { FAILPOINTS, armFailpoint } from "#lib/failpoint.ts";
import { type Logger, createLogger } from "#lib/log.ts";
import { createKernel } from "#kernel/real.ts";
import { createDockerServer } from "#api/docker/api.ts";
import { dockerBackend } from "#daemon/backend.ts";
import { type DaemonConfig, environment, parseDaemonConfig } from "#daemon/config.ts";
import { daemonHelp } from "#daemon/help.ts";
import { ensureInstance } from "#daemon/instance.ts";
import { listenOn } from "#daemon/listen.ts";
import { createStderrSink } from "#daemon/log-sink.ts";
import { notifyReady, notifyStopping } from "#daemon/notify.ts";
import { type Rooms, buildRooms } from "#daemon/rooms.ts";
import { lockRoot } from "#daemon/root-lock.ts";
import { findTools } from "#daemon/tools.ts";

const STDOUT = 1;

const assertRoot = (): void => {
  if (process.geteuid?.() !== 0) {
    throw new NaruError(
      "permission_denied",
      "naru daemon must run as root: it makes namespaces, mounts and firewall rules",
    );
  }
};

const stopSignal = (log: Logger): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      log.info("stopping", { signal: name });
      resolve();
    });
  }
  // A terminal that closes must not end the engine with it.
  process.on("SIGHUP", () => log.info("ignored SIGHUP"));
  return promise;
};

const startRooms = async (rooms: Rooms): Promise<void> => {
  await rooms.images.restore();
  await rooms.network.start();
  await rooms.volumes.start();
  await rooms.containers.restore();
};

const serve = async (config: DaemonConfig, log: Logger): Promise<void> => {
  await using cleanup = new AsyncDisposableStack();
  mkdirSync(config.dataRoot, { recursive: true, mode: 0o710 });
  mkdirSync(config.execRoot, { recursive: true, mode: 0o711 });
  const kernel = createKernel();
  cleanup.use(lockRoot(kernel, config.dataRoot));
  // For `naru system reset`, which is told the data root only.
  writeFileAtomic(`${config.dataRoot}/exec-root`, `${config.execRoot}\n`);
  const tools = findTools(config.runtimes, config.defaultRuntime);
  const instance = ensureInstance(config.dataRoot);
  const rooms = buildRooms({ config, instance, kernel, tools, log });
  cleanup.defer(() => rooms.database.close());
  cleanup.defer(() => rooms.events.flush());
  await startRooms(rooms);
  cleanup.defer(() => rooms.network.stop());
  cleanup.defer(() => rooms.containers.close());
  const server = createDockerServer(dockerBackend(rooms, { config, tools, instance, log }));
  const listeners = await listenOn(config, (socket) => server.onConnection(socket), log);
  cleanup.defer(() => server.close(config.shutdownTimeoutSeconds * 1000));
  cleanup.defer(() => listeners.forEach((listener) => listener.close()));
  if (config.pidFile !== undefined) {
    const path = config.pidFile;
    writeFileSync(path, `${process.pid}\n`);
    cleanup.defer(() => rmSync(path, { force: true }));
  }
  const stopped = stopSignal(log);
  writeSync(STDOUT, `ready ${listeners.map((listener) => listener.address).join(" ")}\n`);
  notifyReady();
  await stopped;
  notifyStopping();
};

const guard = (log: Logger): void => {
  process.on("unhandledRejection", (error) => {
    log.error("a promise nobody awaited failed", {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  });
};

/** Exit code: 0 after SIGTERM, 1 when it could not start. */
export const runDaemon = async (argv: readonly string[]): Promise<number> => {
  if (argv.includes("--help") || argv.includes("-h")) {
    writeSync(STDOUT, daemonHelp());
    return 0;
  }
  if (argv.includes("--list-failpoints")) {
    writeSync(STDOUT, `${FAILPOINTS.join("\n")}\n`);
    return 0;
  }
  let log = createLogger(createStderrSink("info", "text"));
  try {
    const config = parseDaemonConfig(argv);
    log = createLogger(createStderrSink(config.logLevel, config.logFormat));
    guard(log);
    const failpoint = environment("NARU_FAILPOINT");
    if (failpoint !== undefined && failpoint !== "") armFailpoint(failpoint);
    assertRoot();
    await serve(config, log);
    return 0;
  } catch (error) {
    const { message, code, cause } = toNaruError(error);
    log.error(message, {
      code,
      ...(cause === undefined
        ? {}
        : { cause: cause instanceof Error ? (cause.stack ?? "") : String(cause) }),
    });
    return 1;
  }
};
