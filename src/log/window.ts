/** Which records of a batch are wanted: by stream and by time. */
import type { LogReadOptions } from "#log/log.ts";
import { GARBAGE, type LogBatch, STDERR } from "#log/scanner.ts";
import { TimestampReader } from "#log/timestamp.ts";

const split = (ns: bigint): readonly [seconds: number, nanoseconds: number] => [
  Number(ns / 1_000_000_000n),
  Number(ns % 1_000_000_000n),
];

export class LogWindow {
  /** The time of the record last asked about, where times are read at all. */
  readonly time = new TimestampReader();
  readonly #stdout: boolean;
  readonly #stderr: boolean;
  readonly #since: readonly [number, number] | undefined;
  readonly #until: readonly [number, number] | undefined;
  readonly #isTimeRead: boolean;
  #isPast = false;

  /** `needsTime`: the consumer looks at `time` even when no bounds are set. */
  constructor(options: LogReadOptions, needsTime = false) {
    this.#stdout = options.stdout;
    this.#stderr = options.stderr;
    this.#since = options.since === undefined ? undefined : split(options.since);
    this.#until = options.until === undefined ? undefined : split(options.until);
    this.#isTimeRead = needsTime || this.#since !== undefined || this.#until !== undefined;
  }

  /** A record behind `until` was met: nothing wanted follows. */
  get isPast(): boolean {
    return this.#isPast;
  }

  wants(batch: LogBatch, index: number): boolean {
    const flags = batch.flags[index] ?? 0;
    if (this.#isTimeRead) {
      if ((flags & GARBAGE) === 0) this.time.read(batch.block, batch.starts[index] ?? 0);
      if (this.#since !== undefined && this.#compare(this.#since) < 0) return false;
      if (this.#until !== undefined && this.#compare(this.#until) > 0) {
        this.#isPast = true;
        return false;
      }
    }
    return (flags & STDERR) === 0 ? this.#stdout : this.#stderr;
  }

  #compare([seconds, nanoseconds]: readonly [number, number]): number {
    return this.time.seconds - seconds || this.time.nanoseconds - nanoseconds;
  }
}
