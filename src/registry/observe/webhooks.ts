/**
 * Tells other services what happened, by HTTP POST in the form of the reference registry's notifications
 * ("application/vnd.docker.distribution.events.v2+json"), so that what listens to it listens to this one.
 * Events wait in a bounded queue, in order; a failed delivery is tried again with growing pauses, for as long as the other
 * side cannot be reached or is not well. What waits for seconds is kept in a file, and goes on after a stop or a crash;
 * then an event may come twice, with the same id.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { writeFileAtomic } from "#lib/atomic-file.ts";
import { now, randomHex, sleep } from "#lib/clock.ts";
import type { Logger } from "#lib/log.ts";
import type { RegistryAction, RegistryEvent } from "#registry/observer.ts";

export interface WebhookTarget {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Empty: pushes, mounts and deletes. */
  readonly actions: readonly RegistryAction[];
  readonly timeoutMs: number;
}

const QUEUE_LIMIT = 1000;
const BATCH = 50;
/** Of what the other side does not want: status 4xx. */
const TRIES = 8;
const SAVE_MS = 2000;
const FIRST_PAUSE_MS = 500;
const LAST_PAUSE_MS = 60_000;
const MEDIA_TYPE = "application/vnd.docker.distribution.events.v2+json";
const DEFAULT_ACTIONS: readonly RegistryAction[] = ["push", "mount", "delete"];

/** The wire form of one event. */
export const envelopeOf = (event: RegistryEvent, baseUrl: string): object => {
  const { repository, digest, mediaType, sizeBytes, tags, fromRepository } = event;
  const place = event.kind === "blob" ? "blobs" : "manifests";
  return {
    id: randomHex(16),
    timestamp: now(),
    action: event.action,
    target: {
      repository,
      ...(mediaType === undefined ? {} : { mediaType }),
      ...(sizeBytes === undefined ? {} : { size: sizeBytes, length: sizeBytes }),
      ...(digest === undefined
        ? {}
        : { digest, url: `${baseUrl}/v2/${repository}/${place}/${digest}` }),
      ...(tags?.[0] === undefined ? {} : { tag: tags[0] }),
      ...(fromRepository === undefined ? {} : { fromRepository }),
    },
    request: {
      addr: event.remoteAddress,
      host: event.host,
      method: event.method,
      useragent: event.userAgent,
    },
    actor: { name: event.actor },
    source: { addr: baseUrl },
  };
};

/** "" is a delivery; `isRefused`: the other side is there, and does not want it. */
interface Outcome {
  readonly reason: string;
  readonly isRefused: boolean;
}

class Target {
  readonly #options: WebhookTarget;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  #queue: object[] = [];
  /** Taken from the queue, not delivered yet. */
  #underWay: readonly object[] = [];
  #dropped = 0;
  #isRunning = false;

  constructor(options: WebhookTarget, log: Logger) {
    this.#options = options;
    this.#log = log.with({ webhook: new URL(options.url).host });
  }

  get url(): string {
    return this.#options.url;
  }

  /** What is not delivered, oldest first. */
  get waiting(): readonly object[] {
    return [...this.#underWay, ...this.#queue];
  }

  wants(action: RegistryAction): boolean {
    const { actions } = this.#options;
    return (actions.length === 0 ? DEFAULT_ACTIONS : actions).includes(action);
  }

  push(envelope: object): void {
    if (this.#queue.length >= QUEUE_LIMIT) {
      this.#queue.shift();
      this.#dropped += 1;
      if (this.#dropped % 100 === 1) {
        this.#log.warn("too many events wait: the oldest are dropped", { dropped: this.#dropped });
      }
    }
    this.#queue.push(envelope);
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#run().finally(() => {
      this.#isRunning = false;
    });
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0 && !this.#stop.signal.aborted) {
      const events = this.#queue.splice(0, BATCH);
      this.#underWay = events;
      await this.#deliver(events);
      // What a stop kept from its delivery waits for the next process.
      if (!this.#stop.signal.aborted) this.#underWay = [];
    }
  }

  /** Never throws: what cannot be delivered is told to the log. */
  async #deliver(events: readonly object[]): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    const count = events.length;
    for (let attempt = 1; !this.#stop.signal.aborted; attempt += 1) {
      const { reason, isRefused } = await this.#post(events);
      if (reason === "") return;
      if (attempt === TRIES && isRefused) {
        return this.#log.error("gave up on events", { count, reason });
      }
      if (attempt === TRIES) this.#log.warn("events cannot be delivered: they wait", { reason });
      await sleep(pauseMs, this.#stop.signal).catch(() => undefined);
      pauseMs = Math.min(pauseMs * 2, LAST_PAUSE_MS);
    }
  }

  async #post(events: readonly object[]): Promise<Outcome> {
    const { url, headers, timeoutMs } = this.#options;
    try {
      const reply = await fetch(url, {
        method: "POST",
        headers: { "content-type": MEDIA_TYPE, ...headers },
        body: JSON.stringify({ events }),
        redirect: "manual",
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), this.#stop.signal]),
      });
      await reply.body?.cancel();
      const { ok, status } = reply;
      const isRefused = status >= 400 && status < 500 && status !== 408 && status !== 429;
      return { reason: ok ? "" : `status ${status}`, isRefused };
    } catch (error) {
      return { reason: error instanceof Error ? error.message : String(error), isRefused: false };
    }
  }

  close(): void {
    this.#stop.abort();
    const count = this.waiting.length;
    if (count > 0)
      this.#log.warn("events were not delivered before the stop: they wait", { count });
  }
}

/** What each is called in the file: its address, and which one it is of those that have the same. */
const keysOf = (targets: readonly Target[]): readonly (readonly [string, Target])[] => {
  const counts = new Map<string, number>();
  return targets.map((target) => {
    const { url } = target;
    const place = (counts.get(url) ?? 0) + 1;
    counts.set(url, place);
    return [place === 1 ? url : `${url} ${place}`, target];
  });
};

export interface WebhookParts {
  /** The file in which what waits is kept; it is there only as long as something does. */
  readonly path: string;
  readonly log: Logger;
  /** How often it is looked at. */
  readonly saveMs?: number;
}

export class Webhooks {
  readonly #targets: readonly Target[];
  readonly #baseUrl: string;
  readonly #parts: WebhookParts;
  readonly #timer: ReturnType<typeof setInterval>;
  /** What the file says; "" without one. */
  #saved = "";

  constructor(targets: readonly WebhookTarget[], baseUrl: string, parts: WebhookParts) {
    this.#targets = targets.map((target) => new Target(target, parts.log));
    this.#baseUrl = baseUrl;
    this.#parts = parts;
    this.#restore();
    this.#timer = setInterval(() => this.#save(), parts.saveMs ?? SAVE_MS).unref();
  }

  /** Of targets that are told no more nothing is kept. */
  #restore(): void {
    const { path, log } = this.#parts;
    if (!existsSync(path)) return;
    try {
      this.#saved = readFileSync(path, "utf8");
      const kept = JSON.parse(this.#saved) as Record<string, readonly object[] | undefined>;
      for (const [key, target] of keysOf(this.#targets)) {
        for (const envelope of kept[key] ?? []) target.push(envelope);
      }
    } catch (error) {
      log.error("webhooks: what waited before the start cannot be read", { path, error });
    }
  }

  /** A disk that cannot be written must not keep the registry from its work. */
  #save(): void {
    const waiting = keysOf(this.#targets).flatMap(([key, { waiting: events }]) =>
      events.length === 0 ? [] : [[key, events]],
    );
    const text = waiting.length === 0 ? "" : JSON.stringify(Object.fromEntries(waiting));
    if (text === this.#saved) return;
    const { path, log } = this.#parts;
    try {
      if (text === "") rmSync(path, { force: true });
      else writeFileAtomic(path, text);
      this.#saved = text;
    } catch (error) {
      log.error("webhooks: what waits cannot be kept", { path, error });
    }
  }

  event(event: RegistryEvent): void {
    const targets = this.#targets.filter((target) => target.wants(event.action));
    if (targets.length === 0) return;
    const envelope = envelopeOf(event, this.#baseUrl);
    for (const target of targets) target.push(envelope);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const target of this.#targets) target.close();
    this.#save();
  }
}
