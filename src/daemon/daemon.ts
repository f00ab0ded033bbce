/** `naru daemon`: construct, restore, serve, shut down. Containers run on when it stops. */
import { mkdirSync, writeSync } from "node:fs";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { sleep } from "#lib/clock.ts";
import { FAILPOINTS, armFailpoint } from "#lib/failpoint.ts";
import { type Logger, createLogger } from "#lib/log.ts";
import { tellStrayFailures } from "#lib/stray-failures.ts";
import type { Kernel, ProcessKernel } from "#kernel/kernel.ts";
import { createKernel } from "#kernel/real.ts";
import { widenSendBuffer } from "#kernel/send-buffer.ts";
import { createDockerServer, loadEndpoints } from "#api/docker/api.ts";
import type { HttpServer } from "#api/http/server.ts";
import type { Opened, RoomStart } from "#daemon/bring-up.ts";
import { environment, parseDaemonConfig, takeServiceManager } from "#daemon/config.ts";
import { daemonHelp } from "#daemon/help.ts";
import { ensureInstance } from "#daemon/instance.ts";
import { listenOn } from "#daemon/listen.ts";
import type { OnConnection } from "#daemon/listener.ts";
import { createStderrLog } from "#daemon/log-sink.ts";
import { type Notifier, createNotifier } from "#daemon/notify.ts";
import { writePidFile } from "#daemon/pid-file.ts";
import { reload } from "#daemon/reload.ts";
import { restWhenQuiet } from "#daemon/rest.ts";
import type { Rooms } from "#daemon/rooms.ts";
import type { Running } from "#daemon/running.ts";
import { claimExecRoot, lockRoot } from "#daemon/root-lock.ts";
import { watchSignals } from "#daemon/signals.ts";
import { writeTraces } from "#daemon/traces.ts";

const STDOUT = 1;
/** Until then what runs is mostly what runs once. */
const STARTED_MS = 500;
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

/** Whoever waits for a first answer has it before this thread is busy with the rooms, and with loading them. */
const openRooms = async (start: RoomStart): Promise<Opened> => {
  await sleep(FIRST_ANSWER_MS);
  const { bringUp } = await import("#daemon/bring-up.ts");
  return bringUp(start);
};

/** Asked for during the start, it follows it. */
const reloadWhenOpen = async (
  running: Running,
  whenOpen: Promise<Opened>,
  instance: string,
  notifier: Notifier,
): Promise<void> => {
  const { rooms } = await whenOpen;
  notifier.reloading();
  reload(running, rooms.events, instance);
  notifier.ready();
};

const serve = async (running: Running): Promise<void> => {
  const { config, log } = running;
  await using cleanup = new AsyncDisposableStack();
  const { notifySocket, passedSocketCount } = takeServiceManager();
  mkdirSync(config.dataRoot, { recursive: true, mode: 0o710 });
  mkdirSync(config.execRoot, { recursive: true, mode: 0o711 });
  const kernel = createKernel();
  raiseDescriptorLimit(kernel, log);
  cleanup.use(await lockRoot(kernel, config.dataRoot));
  const instance = ensureInstance(config.dataRoot);
  claimExecRoot(config.execRoot, config.dataRoot, instance);
  writeTraces(config);
  const notifier = createNotifier(kernel, notifySocket, log);
  let opened: Promise<Opened> | undefined;
  const open = (): Promise<Opened> =>
    (opened ??= openRooms({ running, kernel, instance, cleanup }));
  // Never rejects: a start that fails is the end.
  const whenOpen = Promise.withResolvers<Opened>();
  const stopped = watchSignals(log, {
    reload: () => void reloadWhenOpen(running, whenOpen.promise, instance, notifier),
    shutdownTimeoutSeconds: () => running.config.shutdownTimeoutSeconds,
  });
  // Ends first: the requests under way need the rooms.
  await using entrance = new AsyncDisposableStack();
  const rest = entrance.use(restWhenQuiet(() => Bun.gc(true)));
  const server = createDockerServer({
    backend: async () => (await open()).backend,
    logger: log.with({ room: "api" }),
    widen: widenSendBuffer,
    onRequest: rest.onRequest,
  });
  const addresses = await listen(running, kernel, passedSocketCount, server, entrance);
  const there = await open();
  whenOpen.resolve(there);
  const { rooms } = there;
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
    tellStrayFailures(log);
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
