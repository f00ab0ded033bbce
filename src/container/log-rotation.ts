/** Rotation of a running container's log: by rename, then conmon opens its path anew. */
import type { ContainerRecord } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { rotationPolicy } from "#log/options.ts";
import { trimEnded } from "#log/split.ts";
import { compressRotated, keepRotated } from "#log/rotate.ts";

interface Rotating {
  readonly abort: AbortController;
  /** It compresses no more. */
  readonly ended: Promise<void>;
}

const isGone = ({ states, deps }: Engine, id: string): boolean =>
  states.find(id) === undefined && !deps.trash.has("container", id);

export class LogRotation {
  readonly #followers = new Map<string, number>();
  readonly #untrimmed = new Map<string, () => void>();
  readonly #rotating = new Map<string, Rotating>();

  start(engine: Engine, record: ContainerRecord): void {
    if (record.logPath === "") return;
    this.stop(record.id);
    const before = this.#rotating.get(record.id)?.ended;
    const abort = new AbortController();
    const ended = this.#keep(engine, record, abort.signal, before);
    this.#rotating.set(record.id, { abort, ended });
  }

  /** Somebody is about to write to it again: from now on it is rotated, not cut. */
  keepWhole(id: string): void {
    this.#untrimmed.delete(id);
  }

  stop(id: string): void {
    this.#rotating.get(id)?.abort.abort();
  }

  /**
   * The writer has ended, and `stop` was called: what it wrote since the last look is brought within the policy. Resolves
   * when that is done, or left to the last of those who read the log.
   */
  async trim(engine: Engine, record: ContainerRecord): Promise<void> {
    if (record.logPath === "") return;
    await this.#rotating.get(record.id)?.ended;
    this.#rotating.delete(record.id);
    const policy = rotationPolicy(record.hostConfig.LogConfig.Config);
    const trim = async (): Promise<void> => {
      // Most often of `--rm`: its files go next.
      if (isGone(engine, record.id)) return;
      await trimEnded(record.logPath, policy);
      if (policy.isCompressed) await compressRotated(record.logPath);
    };
    if ((this.#followers.get(record.id) ?? 0) === 0) return await trim();
    this.#untrimmed.set(record.id, () =>
      engine.follow(record.id, "bring the log within its bounds", trim),
    );
  }

  /** Somebody reads the log: it is not cut under their eyes. */
  follow(id: string): Disposable {
    this.#followers.set(id, (this.#followers.get(id) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        const left = (this.#followers.get(id) ?? 1) - 1;
        if (left > 0) return void this.#followers.set(id, left);
        this.#followers.delete(id);
        this.#untrimmed.get(id)?.();
        this.#untrimmed.delete(id);
      },
    };
  }

  close(): void {
    for (const id of this.#rotating.keys()) this.stop(id);
  }

  async #keep(
    engine: Engine,
    record: ContainerRecord,
    signal: AbortSignal,
    before: Promise<void> | undefined,
  ): Promise<void> {
    await before;
    const runtime = engine.runtimeOf(record);
    const options = {
      path: record.logPath,
      policy: rotationPolicy(record.hostConfig.LogConfig.Config),
      reopen: () => runtime.reopenLog(engine.bundleOf(record.id)),
    };
    try {
      await keepRotated(options, signal);
    } catch (error) {
      // The process may end between the rename and the reopen: there is no writer then.
      if (signal.aborted || runtime.pastExit(record.id) !== undefined) return;
      engine.deps.log.warn("log rotation stopped", { container: record.id, error: String(error) });
    }
  }
}
