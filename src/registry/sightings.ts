/**
 * Who asks for a blob or a manifest and is told that it is here will not push it. What was seen lately is
 * remembered, so that collection leaves it until what needs it had time to come.
 */
import { monotonicMs } from "#lib/clock.ts";

/** Beyond these the oldest half is forgotten and collection told to wait. */
const LIMIT = 200_000;
const SAVED_LIMIT = 50_000;

interface Saved {
  readonly savedAtMs: number;
  readonly blindUntilMs: number;
  /** What is older is not among `seen`. */
  readonly graceMs: number;
  readonly seen: readonly (readonly [string, number])[];
}

export class Sightings {
  readonly #graceMs: number;
  #recent = new Map<string, number>();
  #blindUntilMs: number;

  /** Before it was made nobody watched: until the grace is over everything counts as seen. */
  constructor(graceMs: number) {
    this.#graceMs = graceMs;
    this.#blindUntilMs = monotonicMs() + graceMs;
  }

  /**
   * What was seen lately, for the process after this one: nobody is told of anything in between, so that it need not
   * wait. undefined where it is too much. `nowMs`: by the clock on the wall, which both have.
   */
  save(nowMs: number): string | undefined {
    this.forget();
    if (this.#recent.size > SAVED_LIMIT) return undefined;
    const wallOf = (atMs: number): number => nowMs + atMs - monotonicMs();
    const saved: Saved = {
      savedAtMs: nowMs,
      blindUntilMs: wallOf(this.#blindUntilMs),
      graceMs: this.#graceMs,
      seen: [...this.#recent].map(([key, at]) => [key, wallOf(at)]),
    };
    return JSON.stringify(saved);
  }

  /** What `save` gave. Of a clock that was set back nothing is taken. Throws where it is something else. */
  restore(text: string, nowMs: number): void {
    const { savedAtMs, blindUntilMs, graceMs, seen } = JSON.parse(text) as Saved;
    if (!(nowMs >= savedAtMs) || !(graceMs >= 0)) return;
    const monotonicOf = (wallMs: number): number => monotonicMs() + wallMs - nowMs;
    for (const [key, at] of seen) this.#recent.set(key, monotonicOf(at));
    // The grace may have been another one: since when everything is known does not change with it.
    const knownSinceMs = monotonicOf(Math.max(blindUntilMs, savedAtMs) - graceMs);
    this.#blindUntilMs = Math.min(this.#blindUntilMs, knownSinceMs + this.#graceMs);
  }

  see(repository: string, digest: string): void {
    if (this.#recent.size >= LIMIT) {
      this.#recent = new Map();
      this.#blindUntilMs = monotonicMs() + this.#graceMs;
    }
    this.#recent.set(`${repository} ${digest}`, monotonicMs());
  }

  isRecent(repository: string, digest: string, graceMs: number): boolean {
    const at = this.#recent.get(`${repository} ${digest}`);
    return at !== undefined && monotonicMs() - at < graceMs;
  }

  /** True while there may have been sightings that are not remembered. */
  isBlind(graceMs: number): boolean {
    return monotonicMs() < this.#blindUntilMs - (this.#graceMs - graceMs);
  }

  forget(): void {
    const oldest = monotonicMs() - this.#graceMs;
    for (const [key, at] of this.#recent) if (at < oldest) this.#recent.delete(key);
  }
}
