/** Rotation of a running container's log: by rename, then conmon opens its path anew. */
import type { ContainerRecord } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { rotationPolicy } from "#log/options.ts";
import { trimEnded } from "#log/split.ts";
import { compressRotated, keepRotated } from "#log/rotate.ts";

export class LogRotation {
  readonly #followers = new Map<string, number>();
  readonly #untrimmed = new Map<string, () => void>();
  readonly #running = new Map<string, AbortController>();

  start(engine: Engine, record: ContainerRecord): void {
    if (record.logPath === "") return;
    this.stop(record.id);
    const abort = new AbortController();
    this.#running.set(record.id, abort);
    const runtime = engine.runtimeOf(record);
    const options = {
      path: record.logPath,
      policy: rotationPolicy(record.hostConfig.LogConfig.Config),
      reopen: () => runtime.reopenLog(engine.bundleOf(record.id)),
    };
    void keepRotated(options, abort.signal).catch((error: unknown) => {
      // The process may end between the rename and the reopen: there is no writer then.
      if (abort.signal.aborted || engine.runtimeOf(record).pastExit(record.id) !== undefined)
        return;
      engine.deps.log.warn("log rotation stopped", { container: record.id, error: String(error) });
    });
  }

  stop(id: string): void {
    this.#running.get(id)?.abort();
    this.#running.delete(id);
  }

  /** The writer has ended: what it wrote since the last look is brought within the policy. */
  trim(engine: Engine, record: ContainerRecord): void {
    if (record.logPath === "") return;
    const policy = rotationPolicy(record.hostConfig.LogConfig.Config);
    const trim = (): void => {
      trimEnded(record.logPath, policy);
      if (!policy.isCompressed) return;
      void compressRotated(record.logPath).catch((error: unknown) => {
        const reason = { container: record.id, error: String(error) };
        engine.deps.log.warn("a rotated log could not be compressed", reason);
      });
    };
    if ((this.#followers.get(record.id) ?? 0) === 0) trim();
    else this.#untrimmed.set(record.id, trim);
  }

  /** Somebody follows the log: it is not cut under their eyes. */
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
    for (const id of this.#running.keys()) this.stop(id);
  }
}
