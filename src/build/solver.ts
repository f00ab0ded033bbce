/**
 * Runs vertices, or finds what they once gave. Equal vertices at the same time run once: who comes later
 * sees the output from its start, and the work ends only when nobody wants it any more.
 */
import type { BuildDependencies } from "#build/dependencies.ts";
import { type KeyParts, explainMiss, readKeyParts, writeKeyParts } from "#build/explain.ts";
import type { InputDigest } from "#build/op/tree-digest.ts";
import { now, randomHex } from "#lib/clock.ts";
import { failpoint } from "#lib/failpoint.ts";
import type { BuildCacheRow } from "#metadata/build-cache.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";

export interface RunContext {
  /** Name of the writable snapshot and of the process. */
  readonly id: string;
  readonly signal: AbortSignal;
  /** Files that were written later than this (seconds since the epoch) say that they were not. */
  readonly mtimeMaxSeconds?: number;
  output(stream: 1 | 2, bytes: Uint8Array): void | Promise<void>;
}

export interface Vertex {
  /** As history tells it. */
  readonly description: string;
  /** What it does, as plain JSON; no secrets. */
  readonly definition: object;
  readonly parent: Digest | undefined;
  /** What it reads, by a name that a user understands. */
  readonly inputs: Readonly<Record<string, InputDigest>>;
  /** Handed to `run`. */
  readonly mtimeMaxSeconds?: number;
  /** undefined: only the config changes. */
  readonly run: ((context: RunContext) => Promise<Digest | undefined>) | undefined;
}

export interface SolveOptions {
  /** Which instruction of which Dockerfile: where the last key's parts are kept. */
  readonly step: string;
  readonly isCacheIgnored: boolean;
  readonly signal: AbortSignal;
  /** Told before the vertex runs. */
  readonly onRun: (id: string, why: string) => void | Promise<void>;
  readonly onOutput: (stream: 1 | 2, bytes: Uint8Array) => void | Promise<void>;
}

export interface Solved {
  readonly chainId: Digest | undefined;
  readonly created: string;
  readonly isCached: boolean;
}

const REPLAY_MAX_BYTES = 256 * 1024;

type Listener = (stream: 1 | 2, bytes: Uint8Array) => void | Promise<void>;

/** One run and all who wait for it. */
class Flight {
  readonly controller = new AbortController();
  readonly #listeners = new Set<Listener>();
  readonly #replay: [1 | 2, Uint8Array][] = [];
  #replayBytes = 0;
  promise: Promise<Solved> | undefined;

  async output(stream: 1 | 2, bytes: Uint8Array): Promise<void> {
    this.#replay.push([stream, bytes]);
    this.#replayBytes += bytes.length;
    while (this.#replayBytes > REPLAY_MAX_BYTES && this.#replay.length > 1) {
      this.#replayBytes -= this.#replay.shift()?.[1].length ?? 0;
    }
    for (const listener of this.#listeners) await listener(stream, bytes);
  }

  async join(listener: Listener, signal: AbortSignal): Promise<Solved> {
    for (const [stream, bytes] of this.#replay) await listener(stream, bytes);
    this.#listeners.add(listener);
    const leave = (): void => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.controller.abort(signal.reason);
    };
    if (signal.aborted) leave();
    signal.addEventListener("abort", leave, { once: true });
    try {
      const solved = await this.promise;
      signal.throwIfAborted();
      if (solved === undefined) throw new Error("a flight was joined before it began");
      return solved;
    } finally {
      signal.removeEventListener("abort", leave);
      this.#listeners.delete(listener);
    }
  }
}

export class Solver {
  readonly #dependencies: BuildDependencies;
  readonly #flights = new Map<string, Flight>();
  /** Layers that running builds stand on, with how many do. */
  readonly #held = new Map<Digest, number>();

  constructor(dependencies: BuildDependencies) {
    this.#dependencies = dependencies;
  }

  isLayerHeld(chainId: Digest): boolean {
    return this.#held.has(chainId);
  }

  /** Keeps the layer until the value is disposed of. */
  hold(chainId: Digest | undefined): Disposable {
    if (chainId === undefined) return { [Symbol.dispose]: () => undefined };
    this.#held.set(chainId, (this.#held.get(chainId) ?? 0) + 1);
    let isOpen = true;
    const dispose = (): void => {
      if (!isOpen) return;
      isOpen = false;
      const count = (this.#held.get(chainId) ?? 1) - 1;
      if (count > 0) this.#held.set(chainId, count);
      else this.#held.delete(chainId);
    };
    return { [Symbol.dispose]: dispose };
  }

  #find(key: string): BuildCacheRow | undefined {
    const { rows, snapshots } = this.#dependencies;
    const row = rows.get(key);
    if (row === undefined) return undefined;
    if (row.chainId === undefined || snapshots.layer(row.chainId) !== undefined) return row;
    rows.delete([key]);
    return undefined;
  }

  /** Throws what the run throws, and the signal's reason. */
  async solve(vertex: Vertex, options: SolveOptions): Promise<Solved> {
    const { rows } = this.#dependencies;
    const parts: KeyParts = {
      definition: vertex.definition,
      parent: vertex.parent,
      inputs: vertex.inputs,
    };
    const key = keyOf(parts);
    const row = options.isCacheIgnored ? undefined : this.#find(key);
    if (row !== undefined) {
      rows.touch(key, now());
      return { chainId: row.chainId, created: row.created, isCached: true };
    }
    const why = options.isCacheIgnored
      ? "the cache is not to be used"
      : explainMiss(readKeyParts(rows, options.step), parts);
    writeKeyParts(rows, options.step, parts);
    return await this.#fly(key, vertex, options, why);
  }

  async #fly(key: string, vertex: Vertex, options: SolveOptions, why: string): Promise<Solved> {
    const { signal, onRun, onOutput } = options;
    if (vertex.run === undefined) {
      await onRun(randomHex(32), why);
      return this.#store(key, vertex, vertex.parent);
    }
    // Who wants it done anew shares it with nobody.
    const name = options.isCacheIgnored ? `${key} ${randomHex(8)}` : key;
    const running = this.#flights.get(name);
    if (running !== undefined && !running.controller.signal.aborted) {
      await onRun(randomHex(32), `${why}; another build is at it`);
      return await running.join(onOutput, signal);
    }
    const id = randomHex(32);
    await onRun(id, why);
    const flight = new Flight();
    this.#flights.set(name, flight);
    const { run } = vertex;
    flight.promise = (async () => {
      // Whoever started it has joined by then, so that nothing is said to nobody.
      await Promise.resolve();
      const context: RunContext = {
        id,
        signal: flight.controller.signal,
        ...(vertex.mtimeMaxSeconds === undefined
          ? {}
          : { mtimeMaxSeconds: vertex.mtimeMaxSeconds }),
        output: (stream, bytes) => flight.output(stream, bytes),
      };
      using _parent = this.hold(vertex.parent);
      return this.#store(key, vertex, await run(context));
    })().finally(() => {
      if (this.#flights.get(name) === flight) this.#flights.delete(name);
    });
    flight.promise.catch(() => undefined); // Told to those who joined.
    return await flight.join(onOutput, signal);
  }

  #store(key: string, vertex: Vertex, chainId: Digest | undefined): Solved {
    const { rows, snapshots } = this.#dependencies;
    const created = now();
    const hasLayer = chainId !== undefined && chainId !== vertex.parent;
    failpoint("build.before-row");
    rows.put({
      key,
      chainId,
      parent: vertex.parent,
      created,
      description: vertex.description.slice(0, 1000),
      hasLayer,
      sizeBytes: hasLayer ? (snapshots.layer(chainId)?.sizeBytes ?? 0) : 0,
      lastUsedAt: created,
      useCount: 1,
    });
    return { chainId, created, isCached: false };
  }
}

const keyOf = (parts: KeyParts): string => {
  const inputs = Object.entries(parts.inputs).map(([name, { digest }]) => [name, digest]);
  return digestOf(JSON.stringify({ version: 1, ...parts, parent: parts.parent ?? null, inputs }));
};
