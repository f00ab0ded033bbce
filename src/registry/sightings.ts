/**
 * Who asks for a blob or a manifest and is told that it is here will not push it. What was seen lately is
 * remembered, so that collection leaves it until what needs it had time to come.
 */
import { monotonicMs } from "#lib/clock.ts";

/** Beyond these the oldest half is forgotten and collection told to wait. */
const LIMIT = 200_000;

export class Sightings {
  readonly #graceMs: number;
  #recent = new Map<string, number>();
  #blindUntilMs: number;

  /** Before it was made nobody watched: until the grace is over everything counts as seen. */
  constructor(graceMs: number) {
    this.#graceMs = graceMs;
    this.#blindUntilMs = monotonicMs() + graceMs;
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
