/** `naru daemon`: construct, restore, serve, shut down. Containers run on when it stops. */
import { mkdirSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { sleep } from "#lib/clock.ts";
import { FAILPOINTS, armFailpoint } from "#lib/failpoint.ts";
import { FairTurn } from "#lib/fair-turn.ts";
import { type Logger, createLogger } from "#lib/log.ts";
import type { Kernel, ProcessKernel } from "#kernel/kernel.ts";
import { createKernel } from "#kernel/real.ts";
import { widenSendBuffer } from "#kernel/send-buffer.ts";
import { createDockerServer, loadEndpoints } from "#api/docker/api.ts";
import type { DockerBackend } from "#api/docker/backend.ts";
import type { HttpServer } from "#api/http/server.ts";
import { dockerBackend } from "#daemon/backend.ts";
import {
  type DaemonConfig,
  environment,
  parseDaemonConfig,
  takeServiceManager,
} from "#daemon/config.ts";
import { daemonHelp } from "#daemon/help.ts";
import { startHostNames } from "#daemon/host-names.ts";
import { ensureInstance } from "#daemon/instance.ts";
import { startFrontDoor } from "#daemon/front-door.ts";
import { listenOn } from "#daemon/listen.ts";
import type { OnConnection } from "#daemon/listener.ts";
import { type StderrLog, createStderrLog } from "#daemon/log-sink.ts";
import { startDiskBudget } from "#daemon/disk-budget.ts";
import { createNotifier } from "#daemon/notify.ts";
import { writePidFile } from "#daemon/pid-file.ts";
import { planReload } from "#daemon/reload.ts";
import { restWhenQuiet } from "#daemon/rest.ts";
import { type Rooms, buildRooms } from "#daemon/rooms.ts";
import { claimExecRoot, lockRoot } from "#daemon/root-lock.ts";
import { watchSignals } from "#daemon/signals.ts";
import { findTools, type Tools } from "#daemon/tools.ts";
import { writeTraces } from "#daemon/traces.ts";

const STDOUT = 1;
/** Until then what runs is mostly what runs once. */
const STARTED_MS = 500;
/** Whoever waits for a first answer gets it before this thread is busy with the rooms. */
const FIRST_ANSWER_MS = 2;
/** What a first container needs, made after the first answers. */
const WARM_UP_MS = 25;

const assertRoot = (): void => {
  if (process.geteuid?.() !== 0) {
    throw new NaruError(
      "permission_denied",
      "naru daemon must run as root: it makes namespaces, mounts and firewall rules",
    );
  }
};

/** Many containers mean many descriptors; the soft limit is for programs that use select(2). */
const raiseDescriptorLimit = (kernel: ProcessKernel, log: Logger): void => {
  try {
    kernel.raiseSoftLimit("nofile");
  } catch (error) {
    log.warn("could not raise the limit of open files", { error: String(error) });
  }
};

/** The rooms compare what they know with the host; requests wait for that, all but pings. */
const startRooms = async (rooms: Rooms): Promise<void> => {
  const turn = new FairTurn();
  await sleep(FIRST_ANSWER_MS);
  await rooms.images.restore();
  await turn.yield();
  await rooms.network.start();
  await turn.yield();
  await rooms.volumes.start();
  await rooms.sweepBuilds();
  await rooms.containers.restore();
  rooms.volumes.settle();
  await turn.yield();
};

/** Half of the descriptors stay for containers; who comes beyond the other half is hung up on. */
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

/** The configuration that is in force, and how it came about. */
interface Running {
  readonly argv: readonly string[];
  config: DaemonConfig;
  readonly stderr: StderrLog;
  readonly log: Logger;
}

/** A configuration that is wrong changes nothing. */
const reload = (running: Running, rooms: Rooms, instance: string): void => {
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
    rooms.events.publish({
      Type: "daemon",
      Action: "reload",
      Actor: { ID: instance, Attributes: { name: hostname(), debug, labels } },
    });
  } catch (error) {
    log.error(`the configuration stays as it was: ${toNaruError(error).message}`);
  }
};

/** Returns the address, which `cleanup` closes. */
const serveImagesAt = async (
  addr: string,
  { config, log }: Running,
  { images }: Rooms,
  cleanup: AsyncDisposableStack,
): Promise<string> => {
  const { serveImages } = await import("#daemon/registry/serve-images.ts");
  const { server, listener } = await serveImages({ addr, tls: config.tls, images, log });
  cleanup.defer(() => server.close(config.shutdownTimeoutSeconds * 1000));
  cleanup.defer(() => listener.close());
  return listener.address;
};

/**
 * Returns where it listens. Before the rooms are up only pings are answered, everything else waits; see
 * `createDockerServer`.
 */
const listen = async (
  running: Running,
  kernel: Kernel,
  passedSocketCount: number,
  server: HttpServer,
  entrance: AsyncDisposableStack,
): Promise<string[]> => {
  const { config, log } = running;
  const onConnection = acceptUpTo(Number(kernel.hardLimit("nofile")) / 2, server, log);
  const listeners = await listenOn(config, { kernel, passedSocketCount, onConnection, log });
  entrance.defer(() => server.close(running.config.shutdownTimeoutSeconds * 1000));
  entrance.defer(() => listeners.forEach((listener) => listener.close()));
  return listeners.map((listener) => listener.address);
};

/** Brings the rooms up. What it returns is what requests need. */
const bringUp = async (
  running: Running,
  rooms: Rooms,
  tools: Tools,
  instance: string,
  cleanup: AsyncDisposableStack,
): Promise<DockerBackend> => {
  const { config, log } = running;
  await startRooms(rooms);
  cleanup.defer(() => rooms.network.stop());
  cleanup.defer(() => rooms.containers.close());
  cleanup.defer(rooms.startSweeps());
  cleanup.defer(startDiskBudget(config, rooms, log.with({ room: "gc" })));
  const door = await startFrontDoor(config, rooms, log.with({ room: "door" }));
  cleanup.defer(() => door.stop());
  cleanup.defer(startHostNames(config, rooms, log.with({ room: "network" })));
  return dockerBackend(rooms, {
    config: () => running.config,
    tools,
    instance,
    frontDoor: () => door.report(),
    log,
  });
};

const serve = async (running: Running): Promise<void> => {
  const { config, log } = running;
  await using cleanup = new AsyncDisposableStack();
  const { notifySocket, passedSocketCount } = takeServiceManager();
  mkdirSync(config.dataRoot, { recursive: true, mode: 0o710 });
  mkdirSync(config.execRoot, { recursive: true, mode: 0o711 });
  const kernel = createKernel();
  raiseDescriptorLimit(kernel, log);
  cleanup.use(lockRoot(kernel, config.dataRoot));
  const instance = ensureInstance(config.dataRoot);
  claimExecRoot(config.execRoot, config.dataRoot, instance);
  writeTraces(config);
  const tools = findTools(config.runtimes, config.defaultRuntime);
  const notifier = createNotifier(kernel, notifySocket, log);
  const rooms = buildRooms({ config, instance, kernel, tools, log });
  cleanup.defer(() => rooms.database.close());
  cleanup.defer(() => rooms.events.flush());
  const stopped = watchSignals(log, {
    reload: () => {
      notifier.reloading();
      reload(running, rooms, instance);
      notifier.ready();
    },
    shutdownTimeoutSeconds: () => running.config.shutdownTimeoutSeconds,
  });
  // Ends first: the requests under way need the rooms.
  await using entrance = new AsyncDisposableStack();
  let opened: Promise<DockerBackend> | undefined;
  const open = (): Promise<DockerBackend> =>
    (opened ??= bringUp(running, rooms, tools, instance, cleanup));
  const rest = entrance.use(restWhenQuiet(() => Bun.gc(true)));
  const server = createDockerServer({
    backend: open,
    logger: log.with({ room: "api" }),
    widen: widenSendBuffer,
    onRequest: rest.onRequest,
  });
  const addresses = await listen(running, kernel, passedSocketCount, server, entrance);
  await open();
  if (config.serveImages !== undefined) {
    addresses.push(await serveImagesAt(config.serveImages, running, rooms, entrance));
  }
  if (config.pidFile !== undefined) entrance.use(writePidFile(config.pidFile));
  writeSync(STDOUT, `ready ${addresses.join(" ")}\n`);
  notifier.ready();
  // The start ran interpreted; what runs from here on runs often (scripts/build.ts).
  Bun.unsafe.setJITPolicy(1);
  setTimeout(() => rooms.warmUp(), WARM_UP_MS).unref();
  setTimeout(() => kernel.releaseCode(), STARTED_MS).unref();
  await loadEndpoints();
  await stopped;
  notifier.stopping();
};

const guard = (log: Logger): void => {
  process.on("unhandledRejection", (error) => {
    log.error("a promise nobody awaited failed", {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
  });
};

/** What the message does not say already; where it came from only when nobody foresaw it. */
const causeOf = (code: string, message: string, cause: unknown): { cause?: string } => {
  if (cause === undefined) return {};
  if (!(cause instanceof Error)) return { cause: JSON.stringify(cause) };
  if (code === "internal") return { cause: cause.stack ?? cause.message };
  return message.includes(cause.message) ? {} : { cause: cause.message };
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
  const stderr = createStderrLog();
  const log = createLogger(stderr.sink);
  try {
    const config = parseDaemonConfig(argv);
    stderr.configure(config.logLevel, config.logFormat);
    guard(log);
    const failpoint = environment("NARU_FAILPOINT");
    if (failpoint !== undefined && failpoint !== "") armFailpoint(failpoint);
    assertRoot();
    await serve({ argv, config, stderr, log });
    // Timers of requests that were cut short (a stop's grace of ten minutes) must not keep the process.
    return process.exit(0);
  } catch (error) {
    const { message, code, cause } = toNaruError(error);
    log.error(message, { code, ...causeOf(code, message, cause) });
    // What had begun by then (watchers, timers) must not keep it.
    return process.exit(1);
  }
};
