/**
 * Tells other services what happened, by HTTP POST in the form of the reference registry's notifications
 * ("application/vnd.docker.distribution.events.v2+json"), so that what listens to it listens to this one.
 * Events wait in a bounded queue, in order; a failed delivery is tried again with growing pauses.
 */
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
const TRIES = 8;
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

class Target {
  readonly #options: WebhookTarget;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  #queue: object[] = [];
  /** Taken from the queue, not delivered yet. */
  #underWay = 0;
  #dropped = 0;
  #isRunning = false;

  constructor(options: WebhookTarget, log: Logger) {
    this.#options = options;
    this.#log = log.with({ webhook: new URL(options.url).host });
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
      this.#underWay = events.length;
      await this.#deliver(events);
      this.#underWay = 0;
    }
  }

  /** Never throws: what cannot be delivered is told to the log. */
  async #deliver(events: readonly object[]): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS;
    let reason = "";
    for (let attempt = 1; attempt <= TRIES; attempt += 1) {
      if (this.#stop.signal.aborted) return;
      reason = await this.#post(events);
      if (reason === "") return;
      if (attempt < TRIES) await sleep(pauseMs, this.#stop.signal).catch(() => undefined);
      pauseMs = Math.min(pauseMs * 2, LAST_PAUSE_MS);
    }
    this.#log.error("gave up on events", { count: events.length, reason });
  }

  /** "" when the other side took them. */
  async #post(events: readonly object[]): Promise<string> {
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
      return reply.ok ? "" : `status ${reply.status}`;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  close(): void {
    this.#stop.abort();
    const count = this.#queue.length + this.#underWay;
    if (count > 0) this.#log.warn("events were not delivered before the stop", { count });
  }
}

export class Webhooks {
  readonly #targets: readonly Target[];
  readonly #baseUrl: string;

  constructor(targets: readonly WebhookTarget[], baseUrl: string, log: Logger) {
    this.#targets = targets.map((target) => new Target(target, log));
    this.#baseUrl = baseUrl;
  }

  event(event: RegistryEvent): void {
    const targets = this.#targets.filter((target) => target.wants(event.action));
    if (targets.length === 0) return;
    const envelope = envelopeOf(event, this.#baseUrl);
    for (const target of targets) target.push(envelope);
  }

  close(): void {
    for (const target of this.#targets) target.close();
  }
}
