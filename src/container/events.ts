/** Events of all nouns: published after commit, kept for a while, streamed to whoever watches. */
import { Broadcaster } from "#lib/broadcaster.ts";
import { nowNs, sleep } from "#lib/clock.ts";
import type { Logger } from "#lib/log.ts";
import type { EventRow, EventRows } from "#metadata/containers.ts";
import type { Events } from "#container/containers.ts";
import type { EventMessage } from "#spec/docker/event.ts";

const KEPT_COUNT = 10_000;
const TRIM_EVERY = 1_000;
const NEVER_NS = 2n ** 62n;

export interface EventLog extends Events {
  /** Writes what is not on disk yet. */
  flush(): void;
  watcherCount(): number;
}

export const createEvents = (rows: EventRows, log: Logger): EventLog => {
  const live = new Broadcaster<EventMessage>();
  let unwritten: EventRow[] = [];
  let writtenSinceTrim = 0;
  let isFlushScheduled = false;

  // History is written in one transaction per turn of the loop: it must not slow a start down.
  const flush = (): void => {
    isFlushScheduled = false;
    const batch = unwritten;
    unwritten = [];
    if (batch.length === 0) return;
    try {
      rows.append(batch);
      writtenSinceTrim += batch.length;
      if (writtenSinceTrim < TRIM_EVERY) return;
      writtenSinceTrim = 0;
      rows.trim(KEPT_COUNT);
    } catch (error) {
      log.error("could not keep events", { error: String(error), count: batch.length });
    }
  };

  const publish: Events["publish"] = (event) => {
    const timeNs = nowNs();
    const message: EventMessage = {
      ...event,
      scope: "local",
      time: Number(timeNs / 1_000_000_000n),
      timeNano: Number(timeNs),
    };
    unwritten.push({ timeNs, message: JSON.stringify(message) });
    live.publish(message);
    if (isFlushScheduled) return;
    isFlushScheduled = true;
    setTimeout(flush, 5);
  };

  async function* stream(options: Parameters<Events["stream"]>[0]): AsyncGenerator<EventMessage> {
    const stop = new AbortController();
    const signal = AbortSignal.any([options.signal, stop.signal]);
    const subscription = live.subscribe(signal);
    try {
      let lastNs = 0n;
      if (options.sinceNs !== undefined) {
        flush();
        for (const text of rows.between(options.sinceNs, options.untilNs ?? NEVER_NS)) {
          const message = JSON.parse(text) as EventMessage;
          lastNs = BigInt(message.timeNano);
          yield message;
        }
      }
      if (options.untilNs !== undefined) {
        const remainingMs = Number((options.untilNs - nowNs()) / 1_000_000n);
        if (remainingMs <= 0) return;
        void sleep(remainingMs, signal).then(
          () => stop.abort(),
          () => undefined,
        );
      }
      for await (const message of subscription) {
        if (BigInt(message.timeNano) > lastNs) yield message;
      }
    } finally {
      stop.abort();
    }
  }

  return { publish, stream, flush, watcherCount: () => live.subscriberCount };
};
