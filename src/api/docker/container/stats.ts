/**
 * GET /containers/{id…}/stats: a sample a second, each with the processor figures of the one before
 * it, so that a client can tell a percentage from a single line.
 */
import type { Call } from "#api/docker/call.ts";
import { get, type Route } from "#api/docker/route.ts";
import type { StatsSample } from "#container/containers.ts";
import { isLive } from "#container/container.ts";
import { monotonicMs, sleep, ZERO_TIME } from "#lib/clock.ts";
import { hasCode, NaruError } from "#lib/errors.ts";

const TICK_MS = 1000;
const NO_CPU = {
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
};

const withPrevious = (sample: StatsSample, previous: StatsSample | undefined): object => ({
  ...sample,
  preread: previous?.["read"] ?? ZERO_TIME,
  precpu_stats: previous?.["cpu_stats"] ?? NO_CPU,
});

const single = async (call: Call, isOneShot: boolean): Promise<void> => {
  const { containers } = call.backend;
  const first = await containers.stats(call.name);
  if (isOneShot || !isLive(containers.get(call.name).state)) {
    call.json(200, withPrevious(first, undefined));
    return;
  }
  await sleep(TICK_MS, call.signal);
  call.json(200, withPrevious(await containers.stats(call.name), first));
};

const endless = async (call: Call): Promise<void> => {
  call.exchange.endsWithServer();
  const { containers } = call.backend;
  // By id from here on: the container may be renamed meanwhile.
  const { id } = containers.get(call.name);
  let previous: StatsSample | undefined;
  const out = call.stream("application/json");
  try {
    for (let nextAt = monotonicMs(); ;) {
      const sample = await containers.stats(id);
      await out.write(`${JSON.stringify(withPrevious(sample, previous))}\n`);
      previous = sample;
      nextAt += TICK_MS;
      await sleep(Math.max(0, nextAt - monotonicMs()), call.signal);
    }
  } catch (error) {
    // The client left, or the container was removed: both end the stream well.
    if (!call.signal.aborted && !hasCode(error, "canceled") && !hasCode(error, "not_found")) {
      throw error;
    }
  }
  out.end();
};

const stats = async (call: Call): Promise<void> => {
  const isStream = call.query.flag("stream", true);
  const isOneShot = call.minor >= 41 && call.query.flag("one-shot");
  if (isStream && isOneShot) {
    throw new NaruError("invalid_argument", "cannot have stream=true and one-shot=true");
  }
  await (isStream ? endless(call) : single(call, isOneShot));
};

export const statsRoutes: readonly Route[] = [get("/containers/{id…}/stats", stats)];
