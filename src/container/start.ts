/**
 * Starting a container: root, network, files, config.json, process; each with its undo beside it.
 * Runs inside the container's actor.
 */
import { mkdirSync, rmSync } from "node:fs";
import { now } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { failpoint } from "#lib/failpoint.ts";
import type { ContainerRecord } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { removeRecord } from "#container/remove.ts";
import { emitVolumes } from "#container/volume-events.ts";
import { connectNetwork, emitConnected, releaseNetwork } from "#container/start-network.ts";
import { runtimeConfigOf } from "#container/start-config.ts";
import { explainStartFailure } from "#container/start-failure.ts";
import type { CreatedProcess } from "#runtime/runtime.ts";

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

/** Root, network and config.json: all that the runtime needs. Adds what the network gave to `networked`. */
const prepareConfig = async (
  engine: Engine,
  record: ContainerRecord,
  undo: AsyncDisposableStack,
  networked: Partial<ContainerRecord>,
): Promise<string> => {
  const { deps } = engine;
  const { id } = record;
  failpoint("start.before-mount");
  const rootfs = deps.snapshots.mount(id);
  undo.defer(() => deps.snapshots.unmount(id));
  failpoint("start.after-mount");
  Object.assign(networked, await connectNetwork(engine, record));
  undo.defer(() => releaseNetwork(engine, { ...record, ...networked }));
  failpoint("start.after-network");
  undo.defer(() => deps.volumes.releaseMounts(id));
  const config = await runtimeConfigOf(engine, { ...record, ...networked }, rootfs);
  undo.defer(() => engine.runtimeOf(record).delete(id));
  return JSON.stringify(config);
};

/** Everything up to a process that waits to be let go. */
const prepareProcess = async (
  engine: Engine,
  record: ContainerRecord,
  undo: AsyncDisposableStack,
): Promise<{ process: CreatedProcess; networked: Partial<ContainerRecord> }> => {
  const bundle = engine.bundleOf(record.id);
  mkdirSync(bundle, { recursive: true, mode: 0o700 });
  undo.defer(() => rmSync(bundle, { recursive: true, force: true }));
  const networked: Partial<ContainerRecord> = {};
  const process = await engine.runtimeOf(record).create({
    id: record.id,
    bundle,
    config: () => prepareConfig(engine, record, undo, networked),
    logPath: record.logPath === "" ? undefined : record.logPath,
    isTty: record.config.Tty,
    hasStdin: record.config.OpenStdin,
    // A terminal survives its client: whoever attaches next types on.
    keepsStdinOpen: !record.config.StdinOnce || record.config.Tty,
  });
  return { process, networked };
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

export const startContainer = async (
  engine: Engine,
  id: string,
  options: { readonly isRestart: boolean } = { isRestart: false },
): Promise<void> => {
  const record = engine.current(id);
  assertStartable(record);
  await engine.followed(id);
  const undo = new AsyncDisposableStack();
  let process: CreatedProcess;
  let networked: Partial<ContainerRecord>;
  try {
    ({ process, networked } = await prepareProcess(engine, record, undo));
    failpoint("start.after-runtime-create");
    const runtime = engine.runtimeOf(record);
    engine.stdio.connect(id, () => runtime.attach(id));
    const startTicks = engine.deps.kernel.startTime(process.pid);
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
        startedAt: now(),
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
  failpoint("start.after-row");
  const started = engine.current(id);
  emitConnected(engine, started);
  emitVolumes(engine, started, "mount");
  engine.emit(started, "start");
};
