/**
 * Starting a container: root, network, files, config.json, process; each with its undo beside it.
 * Runs inside the container's actor.
 */
import { checkLinks } from "#container/links.ts";
import { mkdirSync } from "node:fs";
import { now } from "#lib/clock.ts";
import { NaruError, hasCode, invariant, toNaruError } from "#lib/errors.ts";
import { failpoint } from "#lib/failpoint.ts";
import { removeDirectory } from "#lib/remove-directory.ts";
import type { ContainerRecord } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { removeRecord } from "#container/remove.ts";
import { emitVolumes } from "#container/volume-events.ts";
import { connectNetwork, emitConnected, releaseNetwork } from "#container/start-network.ts";
import { dropReady, needsNoHostMounts } from "#container/ready.ts";
import { hasLateLimits, setLateLimits } from "#container/rlimits.ts";
import { type StartRoot, mountAround, mountWithin } from "#container/root.ts";
import { type StartMounts, runtimeConfigOf, sharedShm } from "#container/start-config.ts";
import { explainStartFailure } from "#container/start-failure.ts";
import type { CreatedProcess, Stdio } from "#runtime/runtime.ts";

const assertStartable = (record: ContainerRecord): void => {
  switch (record.state.status) {
    case "running":
      throw new NaruError("not_modified", `container "${record.id}" is already running`);
    case "paused":
      throw new NaruError("conflict", "cannot start a paused container, try unpause instead");
    case "removing":
    case "dead":
      throw new NaruError("conflict", "container is marked for removal and cannot be started");
    case "created":
    case "exited":
    case "restarting":
  }
};

/** Network and config.json: what is still missing once the root is there. Adds what the network gave to `networked`. */
const prepareConfig = async (
  engine: Engine,
  record: ContainerRecord,
  mounts: StartMounts,
  undo: AsyncDisposableStack,
  networked: Partial<ContainerRecord>,
): Promise<string> => {
  checkLinks(engine, record);
  Object.assign(networked, await connectNetwork(engine, record));
  undo.defer(() => releaseNetwork(engine, { ...record, ...networked }));
  failpoint("start.after-network");
  const config = runtimeConfigOf(engine, { ...record, ...networked }, mounts);
  undo.defer(() => engine.runtimeOf(record).delete(record.id));
  return JSON.stringify(config);
};

/** Everything up to a process that waits to be let go. */
const prepareProcess = async (
  engine: Engine,
  record: ContainerRecord,
  undo: AsyncDisposableStack,
  beforeStart: () => void,
): Promise<{ process: CreatedProcess; networked: Partial<ContainerRecord> }> => {
  const { kernel, snapshots, volumes } = engine.deps;
  const { id } = record;
  const bundle = engine.bundleOf(id);
  const canBeReady = needsNoHostMounts(record);
  if (!canBeReady) dropReady(engine, id);
  mkdirSync(bundle, { recursive: true, mode: 0o700 });
  undo.defer(() => removeDirectory(bundle));
  // The host's mounts first: the namespace that the root is mounted in is a copy of the host's.
  undo.defer(() => volumes.releaseMounts(id));
  const userMounts = await volumes.runtimeMounts(id, record.hostConfig, record.mounts);
  undo.defer(() => kernel.unmount(`${bundle}/shm`));
  const shmPath = sharedShm(engine, record);
  const networked: Partial<ContainerRecord> = {};
  let root: StartRoot | undefined;
  failpoint("start.before-mount");
  undo.defer(() => snapshots.unmount(id));
  try {
    const process = await engine.runtimeOf(record).create({
      id,
      bundle,
      around: (spawn) => {
        const mounted = mountAround(engine, record, userMounts, spawn);
        root = mounted.root;
        return mounted.spawned;
      },
      ...(canBeReady
        ? { within: (conmonPid) => void (root = mountWithin(engine, record, conmonPid)) }
        : {}),
      config: () => {
        failpoint("start.after-mount");
        invariant(root !== undefined, "the root is mounted before the process is started");
        const mounts = { rootfs: root.rootfs, rootPath: root.path, userMounts, shmPath };
        return prepareConfig(engine, record, mounts, undo, networked);
      },
      logPath: record.logPath === "" ? undefined : record.logPath,
      isTty: record.config.Tty,
      hasStdin: record.config.OpenStdin,
      // A terminal survives its client: whoever attaches next types on.
      keepsStdinOpen: !record.config.StdinOnce || record.config.Tty,
      // Who waits for its limits cannot be let go beside its creation.
      ...(hasLateLimits(engine, record) ? {} : { beforeStart }),
    });
    return { process, networked };
  } finally {
    root?.close();
  }
};

/** The start failed: the record says why, and the client hears it in the words users know. */
const recordFailure = async (
  engine: Engine,
  record: ContainerRecord,
  thrown: unknown,
): Promise<NaruError> => {
  const failure = explainStartFailure(toNaruError(thrown), record);
  if (engine.states.find(record.id) !== undefined) {
    const { state } = record;
    const status = state.status === "created" ? "created" : "exited";
    engine.transition(record.id, {
      state: {
        status,
        exitCode: failure.exitCode,
        startedAt: state.startedAt,
        finishedAt: status === "created" ? state.finishedAt : now(),
        isOomKilled: false,
        error: failure.error.message,
      },
    });
  }
  engine.stdio.abandon(record.id);
  const failed = engine.states.find(record.id);
  if (failed?.hostConfig.AutoRemove === true) {
    await removeRecord(engine, failed, { removesAnonymous: true });
  }
  return failure.error;
};

/** `undefined` where the process that was let go has ended already. */
const stdioOf = (engine: Engine, record: ContainerRecord): Stdio | undefined => {
  try {
    return engine.runtimeOf(record).attach(record.id);
  } catch (error) {
    if (!hasCode(error, "unavailable")) {
      engine.deps.log.warn("a client could not be attached", { container: record.id, error });
    }
    return undefined;
  }
};

export const startContainer = async (
  engine: Engine,
  id: string,
  options: { readonly isRestart: boolean } = { isRestart: false },
): Promise<void> => {
  const record = engine.current(id);
  assertStartable(record);
  await engine.followed(id);
  engine.rotation.keepWhole(id);
  const undo = new AsyncDisposableStack();
  let process: CreatedProcess;
  let networked: Partial<ContainerRecord>;
  try {
    const runtime = engine.runtimeOf(record);
    let startedAt: string | undefined;
    const beforeStart = (): string => {
      engine.stdio.connect(id, () => runtime.attach(id));
      // Not later: what the process says and its end come after it.
      return (startedAt = now());
    };
    ({ process, networked } = await prepareProcess(engine, record, undo, beforeStart));
    failpoint("start.after-runtime-create");
    startedAt ??= beforeStart();
    const startTicks = engine.deps.kernel.startTime(process.pid);
    const { sandbox } = networked;
    if (sandbox !== undefined) engine.deps.kernel.handNetnsOver(sandbox.netnsPath, process.pid);
    setLateLimits(engine, record, process.pid);
    await runtime.start(id, process);
    failpoint("start.after-runtime-start");
    engine.transition(id, {
      ...networked,
      restartCount: options.isRestart ? record.restartCount + 1 : 0,
      isStoppedByUser: false,
      state: {
        status: "running",
        process: { ...process, startTicks: String(startTicks ?? 0) },
        exitCode: 0,
        startedAt,
        finishedAt: record.state.finishedAt,
        isOomKilled: false,
        error: "",
      },
    });
  } catch (error) {
    await undo.disposeAsync();
    throw await recordFailure(engine, record, error);
  }
  undo.move();
  // Who has come since the process was let go: from here on the row says that it runs, and they join it.
  engine.stdio.connect(id, () => stdioOf(engine, record));
  failpoint("start.after-row");
  const started = engine.current(id);
  emitConnected(engine, started);
  emitVolumes(engine, started, "mount");
  engine.emit(started, "start");
};
