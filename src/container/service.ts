/** Puts the verbs together behind the manual of `containers.ts`. The only place that makes an Engine. */
import { NaruError } from "#lib/errors.ts";
import { archiveVerbs } from "#container/archive.ts";
import { attachContainer } from "#container/attach.ts";
import { commitContainer } from "#container/commit.ts";
import { isLive } from "#container/container.ts";
import { connectContainer, disconnectContainer } from "#container/connect.ts";
import type { Containers } from "#container/containers.ts";
import { createContainer } from "#container/create.ts";
import type { ContainerDependencies } from "#container/dependencies.ts";
import { Engine } from "#container/engine.ts";
import { createExec, inspectExec, resizeExec, startExecSession } from "#container/exec.ts";
import { handleExit } from "#container/exit.ts";
import { logsOf } from "#container/logs.ts";
import { watchMonitor } from "#container/monitor-loss.ts";
import { pauseContainer, unpauseContainer } from "#container/pause.ts";
import { changePorts } from "#container/ports.ts";
import { pruneContainers } from "#container/prune.ts";
import { refreshLinkers } from "#container/container-files.ts";
import { removeLink } from "#container/links.ts";
import { whilePaused } from "#container/stand-still.ts";
import { removeContainer } from "#container/remove.ts";
import { removedContainers } from "#container/removed.ts";
import { restartContainer, restartUnderway } from "#container/restart.ts";
import { restoreContainers } from "#container/restore.ts";
import { startContainer } from "#container/start.ts";
import { statsOf } from "#container/stats.ts";
import { type StopOptions, killContainer, stopContainer } from "#container/stop.ts";
import { topContainer } from "#container/top.ts";
import type { PortChange } from "#spec/docker/port-reach.ts";
import type { TrashSource } from "#metadata/trash.ts";
import type { EndpointSettings } from "#spec/docker/network.ts";
import { renameContainer, updateContainer } from "#container/update.ts";

export interface ContainerService extends Containers {
  /** Once, before requests are served. */
  restore(): Promise<void>;
  /** What was removed and can be brought back. */
  readonly removed: TrashSource;
  /**
   * Runs `work` while these containers stand still. Those that do not run, or are paused already, are left as
   * they are. Whatever happens, also to the daemon, they go on afterwards.
   */
  whilePaused<T>(ids: readonly string[], work: () => Promise<T>): Promise<T>;
  /** Resolves when what containers held whose end was told by now has been given back. */
  released(): Promise<void>;
  /** Stops watching; containers run on. Resolves when what was under way has ended. */
  close(): Promise<void>;
}

const lifecycleVerbs = (engine: Engine) => {
  const idOf = (container: string): string => engine.states.get(container).id;
  const start = async (id: string): Promise<void> => {
    await engine.actors.run(id, () => startContainer(engine, id));
    engine.onStarted(id);
  };
  /** Whoever starts it asks for it anew: the trust policy of now counts. Restarts by policy only go on. */
  const admit = (id: string): Promise<void> => {
    const { config, imageId } = engine.current(id);
    return engine.deps.images.admitAgain(config.Image, imageId);
  };
  const notRunning = (id: string): never => {
    throw new NaruError("not_modified", `container "${id}" is not running`);
  };
  return {
    start: async (container: string) => {
      const id = idOf(container);
      await admit(id);
      const waiting = engine.restarts.get(id);
      if (engine.current(id).state.status === "restarting") waiting?.abort.abort();
      engine.restarts.delete(id);
      await start(id);
    },
    stop: async (container: string, options: StopOptions) => {
      const id = idOf(container);
      if (!(await stopContainer(engine, id, options))) notRunning(id);
    },
    restart: async (container: string, options: StopOptions) => {
      const id = idOf(container);
      await admit(id);
      await restartContainer(engine, id, options, () => start(id));
    },
    restartUnderway: (container: string) => restartUnderway(engine, container),
    kill: (container: string, signal: string) => killContainer(engine, idOf(container), signal),
    pause: (container: string) => pauseContainer(engine, idOf(container)),
    unpause: (container: string) => unpauseContainer(engine, idOf(container)),
    connect: (
      container: string,
      network: string,
      settings: Partial<EndpointSettings> | null | undefined,
    ) => {
      const id = idOf(container);
      return engine.actors.run(id, () => connectContainer(engine, id, network, settings));
    },
    changePorts: (container: string, change: PortChange) => {
      const id = idOf(container);
      return engine.actors.run(id, () => changePorts(engine, id, change));
    },
    disconnect: (container: string, network: string) => {
      const id = idOf(container);
      return engine.actors.run(id, () => disconnectContainer(engine, id, network));
    },
    removeLink: (link: string) => removeLink(engine, link),
    remove: (container: string, options: { force: boolean; volumes: boolean; batch?: string }) =>
      removeContainer(engine, idOf(container), options),
  };
};

const streamVerbs = (engine: Engine) => {
  const idOf = (container: string): string => engine.states.get(container).id;
  return {
    attach: async (container, options) => attachContainer(engine, idOf(container), options),
    logs: (container, options) => logsOf(engine, idOf(container), options),
    stats: async (container) => statsOf(engine, idOf(container)),
    top: async (container, psArguments) => topContainer(engine, idOf(container), psArguments),
    resize: async (container, size) => {
      const record = engine.states.get(container);
      if (!isLive(record.state))
        throw new NaruError("conflict", `container ${record.id} is not running`);
      engine.runtimeOf(record).resize(engine.bundleOf(record.id), size);
      engine.emit(record, "resize", { height: String(size.height), width: String(size.width) });
    },
    execCreate: async (container, request) => createExec(engine, idOf(container), request),
    execStart: (execId, options) => startExecSession(engine, execId, options),
    execInspect: (execId) => inspectExec(engine, execId),
    execResize: async (execId, size) => resizeExec(engine, execId, size),
    execIds: (container) => engine.execs.running(idOf(container)),
  } satisfies Partial<Containers>;
};

export const createContainers = (deps: ContainerDependencies): ContainerService => {
  const engine = new Engine(deps);
  engine.whenStarted((record) => refreshLinkers(engine, record));
  engine.whenStarted((record) => engine.health.start(engine, record));
  engine.whenStarted((record) => engine.rotation.start(engine, record));
  engine.whenStarted((record) => watchMonitor(engine, record));
  engine.whenStarted((record) => engine.oom.start(engine, record));
  for (const runtime of deps.runtimes.values()) {
    runtime.onExit((notice) => {
      void engine.actors
        .run(notice.id, () => handleExit(engine, notice))
        .catch((error: unknown) => {
          deps.log.error("could not record an exit", {
            container: notice.id,
            error: String(error),
          });
        });
    });
  }
  return {
    ...lifecycleVerbs(engine),
    ...streamVerbs(engine),
    ...archiveVerbs(engine),
    get: (container) => engine.states.get(container),
    list: () => engine.states.list(),
    create: (name, request, platform) => createContainer(engine, name, request, platform),
    rename: async (container, newName) =>
      renameContainer(engine, engine.states.get(container).id, newName),
    update: async (container, request) =>
      updateContainer(engine, engine.states.get(container).id, request),
    wait: async (container, condition, signal) =>
      engine.waiters.wait(engine.states.get(container), condition, signal),
    prune: (filters, options) => pruneContainers(engine, filters, options),
    commit: async (request) => commitContainer(engine, request),
    restore: () => restoreContainers(engine),
    removed: removedContainers(engine),
    whilePaused: (ids, work) => whilePaused(engine, ids, work),
    released: () => engine.released(),
    close: async () => {
      engine.closing.abort();
      engine.health.close();
      engine.rotation.close();
      engine.oom.close();
      for (const { abort } of engine.restarts.values()) abort.abort();
      for (const runtime of deps.runtimes.values()) runtime.close();
      await engine.settled();
    },
  };
};
