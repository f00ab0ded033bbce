/** Health checks: one loop per running container that has one. What a result means is pure. */
import { monotonicMs, now, randomHex, sleep } from "#lib/clock.ts";
import { type ContainerRecord, isLive } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { launchExec } from "#container/exec.ts";
import type { HealthConfig } from "#spec/docker/container-config.ts";
import type { Health, HealthLogEntry } from "#spec/docker/container.ts";
import { formatDuration } from "#lib/duration.ts";

const NS_PER_MS = 1e6;
const OUTPUT_MAX_BYTES = 4096;
const LOG_MAX_COUNT = 5;

interface Timing {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly startPeriodMs: number;
  readonly startIntervalMs: number;
  readonly retries: number;
}

const timingOf = (config: HealthConfig): Timing => {
  const ms = (value: number | undefined, fallbackMs: number): number =>
    value ? value / NS_PER_MS : fallbackMs;
  return {
    intervalMs: ms(config.Interval, 30_000),
    timeoutMs: ms(config.Timeout, 30_000),
    startPeriodMs: ms(config.StartPeriod, 0),
    startIntervalMs: ms(config.StartInterval, 5_000),
    retries: config.Retries || 3,
  };
};

/** argv of the probe; undefined when there is none ("NONE", or nothing configured). */
export const probeCommand = (
  config: HealthConfig | undefined,
  shell: readonly string[] | undefined,
): string[] | undefined => {
  const [kind, ...rest] = config?.Test ?? [];
  if (kind === "CMD") return rest;
  if (kind === "CMD-SHELL") return [...(shell ?? ["/bin/sh", "-c"]), rest[0] ?? ""];
  return undefined;
};

export const isProbed = ({ config }: ContainerRecord): boolean =>
  probeCommand(config.Healthcheck, config.Shell) !== undefined;

/** Failures within the start period do not count; the first success ends it (Docker's rule). */
export const nextHealth = (
  health: Health,
  entry: HealthLogEntry,
  isInStartPeriod: boolean,
  retries: number,
): Health => {
  const Log = [...health.Log, entry].slice(-LOG_MAX_COUNT);
  if (entry.ExitCode === 0) return { Status: "healthy", FailingStreak: 0, Log };
  if (isInStartPeriod && health.Status === "starting") return { ...health, Log };
  const FailingStreak = health.FailingStreak + 1;
  return { Status: FailingStreak >= retries ? "unhealthy" : health.Status, FailingStreak, Log };
};

const readOutput = async (chunks: AsyncIterable<{ bytes: Uint8Array }>): Promise<string> => {
  const kept: Uint8Array[] = [];
  let total = 0;
  for await (const { bytes } of chunks) {
    if (total < OUTPUT_MAX_BYTES) kept.push(bytes.subarray(0, OUTPUT_MAX_BYTES - total));
    total += bytes.length;
  }
  return Buffer.concat(kept).toString("utf8") + (total > OUTPUT_MAX_BYTES ? "..." : "");
};

const OUTPUT_GRACE_MS = 1000;
const TIMED_OUT = Symbol("timed out");

/** One probe. Times out by killing the probe; its exit code is then -1, as Docker shows it. */
const probe = async (
  engine: Engine,
  record: ContainerRecord,
  cmd: string[],
  timeoutMs: number,
): Promise<HealthLogEntry> => {
  const Start = now();
  const ended = (ExitCode: number, Output: string): HealthLogEntry => ({
    Start,
    End: now(),
    ExitCode,
    Output,
  });
  const timer = new AbortController();
  try {
    const process = await launchExec(
      engine,
      {
        id: randomHex(32),
        containerId: record.id,
        request: { Cmd: cmd, AttachStdout: true, AttachStderr: true },
        isTty: false,
        process: undefined,
        exitCode: null,
        isStarted: false,
      },
      { isDetached: false },
    );
    const output =
      process.stdio === undefined ? Promise.resolve("") : readOutput(process.stdio.output);
    const expiry = sleep(timeoutMs, timer.signal).then(
      () => TIMED_OUT,
      () => TIMED_OUT,
    );
    // A check lasts as long as its output: what it left behind may hold that open for ever.
    const whole = Promise.all([process.exited, output]);
    const result = await Promise.race([whole, expiry]);
    if (typeof result === "symbol") {
      whole.catch(() => undefined); // It has timed out, whatever else becomes of it.
      if (process.pid() > 0) engine.deps.kernel.kill(process.pid(), 9);
      const timeout = `Health check exceeded timeout (${formatDuration(timeoutMs * 1e6)})`;
      // What it said before; a child of the probe may hold the pipe open.
      const said = await Promise.race([output, sleep(OUTPUT_GRACE_MS).then(() => "")]);
      return ended(-1, said === "" ? timeout : `${timeout}: ${said}`);
    }
    return ended(...result);
  } catch (error) {
    return ended(-1, error instanceof Error ? error.message : String(error));
  } finally {
    timer.abort();
  }
};

export class HealthMonitor {
  readonly #running = new Map<string, AbortController>();

  /** Begins probing; `resumed` keeps what was known before a daemon restart. */
  start(engine: Engine, record: ContainerRecord): void {
    const config = record.config.Healthcheck;
    const cmd = probeCommand(config, record.config.Shell);
    if (config === undefined || cmd === undefined || !isLive(record.state)) return;
    this.stop(record.id);
    const abort = new AbortController();
    this.#running.set(record.id, abort);
    if (record.state.health === undefined) {
      const health: Health = { Status: "starting", FailingStreak: 0, Log: [] };
      engine.transition(record.id, { state: { ...record.state, health } });
    }
    void this.#loop(engine, record.id, cmd, timingOf(config), abort.signal).catch(
      (error: unknown) => {
        if (!abort.signal.aborted) {
          engine.deps.log.error("health check stopped", {
            container: record.id,
            error: String(error),
          });
        }
      },
    );
  }

  stop(id: string): void {
    this.#running.get(id)?.abort();
    this.#running.delete(id);
  }

  close(): void {
    for (const id of this.#running.keys()) this.stop(id);
  }

  async #loop(
    engine: Engine,
    id: string,
    cmd: string[],
    timing: Timing,
    signal: AbortSignal,
  ): Promise<void> {
    const begunMs = monotonicMs();
    for (;;) {
      const isStarting = (): boolean => monotonicMs() - begunMs < timing.startPeriodMs;
      const record = engine.states.find(id);
      if (record === undefined || !isLive(record.state)) return;
      const isWarmingUp = isStarting() && record.state.health?.Status === "starting";
      await sleep(
        isWarmingUp ? Math.min(timing.startIntervalMs, timing.intervalMs) : timing.intervalMs,
        signal,
      );
      const before = engine.states.find(id);
      if (before === undefined || !isLive(before.state)) return;
      if (before.state.status === "paused") continue;
      const entry = await probe(engine, before, cmd, timing.timeoutMs);
      if (signal.aborted) return;
      await engine.actors.run(id, async () =>
        this.#record(engine, id, entry, isStarting(), timing.retries),
      );
    }
  }

  #record(
    engine: Engine,
    id: string,
    entry: HealthLogEntry,
    isInStartPeriod: boolean,
    retries: number,
  ): void {
    const record = engine.states.find(id);
    if (record === undefined || !isLive(record.state)) return;
    const previous = record.state.health ?? { Status: "starting", FailingStreak: 0, Log: [] };
    const health = nextHealth(previous, entry, isInStartPeriod, retries);
    const updated = engine.transition(id, { state: { ...record.state, health } });
    if (health.Status === previous.Status) return;
    engine.emit(updated, `health_status: ${health.Status}`);
    const { sandbox } = updated;
    if (sandbox !== undefined && health.Status !== "none")
      engine.deps.network.setHealth(sandbox, health.Status);
  }
}
