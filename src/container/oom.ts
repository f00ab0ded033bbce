/**
 * News of OOM kills while a container runs: the event `oom` and State.OOMKilled come when the kernel
 * kills, also when the container outlives it (a child was killed). Only containers with a memory limit
 * are watched. What the watch had no time to tell is told with the exit: see exit.ts.
 */
import { toNaruError } from "#lib/errors.ts";
import { type ContainerRecord, isLive } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";

/** Kills since the container's cgroup was made; 0 without a limit, or when nothing is known any more. */
export const countOomKills = (engine: Engine, record: ContainerRecord): number => {
  if (record.hostConfig.Memory === 0) return 0;
  try {
    return engine.deps.cgroups.oomKills(engine.cgroupOf(record));
  } catch (error) {
    // The cgroup may be gone with a host that was rebooted: then nothing is known of an OOM.
    engine.deps.log.debug("no OOM count", { container: record.id, error: String(error) });
    return 0;
  }
};

interface Watch {
  readonly abort: AbortController;
  /** The count that was published last. */
  toldCount: number;
}

export class OomWatch {
  readonly #watches = new Map<string, Watch>();

  start(engine: Engine, record: ContainerRecord): void {
    if (record.hostConfig.Memory === 0 || !isLive(record.state)) return;
    this.finish(record.id);
    // After a restart of the daemon: what the record knows of was told before.
    const toldCount = record.state.isOomKilled ? countOomKills(engine, record) : 0;
    const watch: Watch = { abort: new AbortController(), toldCount };
    this.#watches.set(record.id, watch);
    void this.#follow(engine, record, watch).catch((error: unknown) => {
      const state = engine.states.find(record.id)?.state;
      // A container that ended at once has no cgroup any more.
      if (watch.abort.signal.aborted || state === undefined || !isLive(state)) return;
      engine.deps.log.warn("cannot watch for OOM kills", {
        container: record.id,
        error: toNaruError(error).message,
      });
    });
  }

  /** Ends the watch; answers the count that it published last. */
  finish(id: string): number {
    const watch = this.#watches.get(id);
    watch?.abort.abort();
    this.#watches.delete(id);
    return watch?.toldCount ?? 0;
  }

  close(): void {
    for (const id of this.#watches.keys()) this.finish(id);
  }

  async #follow(engine: Engine, record: ContainerRecord, watch: Watch): Promise<void> {
    const { signal } = watch.abort;
    const news = engine.deps.cgroups.watchOom(engine.cgroupOf(record), signal);
    // The first call opens the watch: a kill is either counted here or news.
    const first = news.next();
    first.catch(() => undefined); // awaited below
    if (countOomKills(engine, record) > watch.toldCount) await this.#tell(engine, record, watch);
    for (let next = await first; next.done !== true; next = await news.next()) {
      await this.#tell(engine, record, watch);
    }
  }

  /** One event for all kills since the last. */
  #tell(engine: Engine, { id }: ContainerRecord, watch: Watch): Promise<void> {
    return engine.actors.run(id, async () => {
      const record = engine.states.find(id);
      if (watch.abort.signal.aborted || record === undefined || !isLive(record.state)) return;
      const count = countOomKills(engine, record);
      if (count <= watch.toldCount) return;
      watch.toldCount = count;
      const state = { ...record.state, isOomKilled: true };
      engine.emit(engine.transition(id, { state }), "oom");
    });
  }
}
