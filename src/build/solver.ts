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
  /** Its layer goes on top of whatever the stage has by then. */
  readonly isLinked?: boolean;
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
  /** Asked on a miss: what other machines found out. */
  readonly lookup?: (key: Digest) => Promise<Imported | undefined>;
  /** Told before the vertex runs. */
  readonly onRun: (id: string, why: string) => void | Promise<void>;
  readonly onOutput: (stream: 1 | 2, bytes: Uint8Array) => void | Promise<void>;
}

/** A result of elsewhere, its layers here. */
export interface Imported {
  readonly chainId: Digest | undefined;
  readonly createdAt: string;
  readonly description: string;
  readonly hasLayer: boolean;
}

export interface Solved {
  readonly key: Digest;
  readonly chainId: Digest | undefined;
  readonly created: string;
  readonly isCached: boolean;
}

const REPLAY_MAX_BYTES = 256 * 1024;
const WAITING_MAX_BYTES = 1024 * 1024;

type Listener = (stream: 1 | 2, bytes: Uint8Array) => void | Promise<void>;

/** One run and all who wait for it. */
export class Flight {
  readonly controller = new AbortController();
  /** Who hears the output, with how much of it is on its way. The first is waited for, others may miss some. */
  readonly #listeners = new Map<Listener, number>();
  readonly #replay: [1 | 2, Uint8Array][] = [];
  #replayBytes = 0;
  readonly #heard = Promise.withResolvers<void>();
  #members = 0;
  readonly promise: Promise<Solved>;

  /** `run` is called at once; its output waits until somebody listens. */
  constructor(run: (flight: Flight) => Promise<Solved>) {
    this.promise = run(this);
    this.promise.catch(() => undefined); // Told to those who joined.
  }

  async output(stream: 1 | 2, bytes: Uint8Array): Promise<void> {
    await this.#heard.promise;
    this.#replay.push([stream, bytes]);
    this.#replayBytes += bytes.length;
    while (this.#replayBytes > REPLAY_MAX_BYTES && this.#replay.length > 1) {
      this.#replayBytes -= this.#replay.shift()?.[1].length ?? 0;
    }
    const [first, ...others] = this.#listeners.keys();
    for (const listener of others) {
      if ((this.#listeners.get(listener) ?? 0) < WAITING_MAX_BYTES) {
        void this.#tell(listener, stream, bytes);
      }
    }
    if (first !== undefined) await this.#tell(first, stream, bytes);
  }

  /** A listener that fails hears no more; its own build learns of it by its signal. */
  async #tell(listener: Listener, stream: 1 | 2, bytes: Uint8Array): Promise<void> {
    this.#count(listener, bytes.length);
    try {
      await listener(stream, bytes);
    } catch {
      this.#listeners.delete(listener);
    } finally {
      this.#count(listener, -bytes.length);
    }
  }

  #count(listener: Listener, bytes: number): void {
    const waiting = this.#listeners.get(listener);
    if (waiting !== undefined) this.#listeners.set(listener, waiting + bytes);
  }

  /** `begin` is awaited before the first output. The last one to leave ends the run and waits for its end. */
  async join(
    listener: Listener,
    signal: AbortSignal,
    begin: () => void | Promise<void>,
  ): Promise<Solved> {
    const left = Promise.withResolvers<never>();
    left.promise.catch(() => undefined);
    let isHere = true;
    this.#members += 1;
    const leave = (): void => {
      if (!isHere) return;
      isHere = false;
      this.#members -= 1;
      this.#listeners.delete(listener);
      this.#heard.resolve();
      if (this.#members > 0) left.reject(signal.reason ?? new Error("left"));
      else this.controller.abort(signal.reason);
    };
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) leave();
    try {
      await begin();
      for (const [stream, bytes] of this.#replay.slice()) await listener(stream, bytes);
      if (isHere) this.#listeners.set(listener, 0);
      this.#heard.resolve();
      const solved = await Promise.race([this.promise, left.promise]);
      signal.throwIfAborted();
      return solved;
    } finally {
      signal.removeEventListener("abort", leave);
      leave();
      // What it made on the host is gone when the last one is told.
      if (this.#members === 0) await this.promise.catch(() => undefined);
    }
  }
}

export class Solver {
  readonly #dependencies: BuildDependencies;
  readonly #flights = new Map<string, Flight>();
  /** Layers that running builds stand on, with how many do. */
  readonly #held = new Map<Digest, number>();
  /** Keys that were found in this turn of the event loop. */
  #found: string[] = [];

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
      this.#count(key);
      return { key, chainId: row.chainId, created: row.created, isCached: true };
    }
    const imported = options.isCacheIgnored ? undefined : await options.lookup?.(key);
    if (imported !== undefined) return this.#adopt(key, vertex, imported);
    const why = options.isCacheIgnored
      ? "the cache is not to be used"
      : explainMiss(readKeyParts(rows, options.step), parts);
    writeKeyParts(rows, options.step, parts);
    return await this.#fly(key, vertex, options, why);
  }

  /** The uses of a cached build are one transaction, behind its answer. */
  #count(key: string): void {
    this.#found.push(key);
    if (this.#found.length === 1) setImmediate(() => this.countUses());
  }

  /** Rows say from now on how often they were used. Never throws: nobody waits for it, and on a full disk it cannot be noted. */
  countUses(): void {
    if (this.#found.length === 0) return;
    const { rows, log } = this.#dependencies;
    try {
      rows.touch(this.#found.splice(0), now());
    } catch (error) {
      log.warn("uses of the build cache could not be noted", { error });
    }
  }

  async #fly(key: Digest, vertex: Vertex, options: SolveOptions, why: string): Promise<Solved> {
    const { signal, onRun, onOutput } = options;
    if (vertex.run === undefined) {
      await onRun(randomHex(32), why);
      return this.#store(key, vertex, vertex.parent);
    }
    // Who wants it done anew shares it with nobody.
    const name = options.isCacheIgnored ? `${key} ${randomHex(8)}` : key;
    const running = this.#flights.get(name);
    if (running !== undefined && !running.controller.signal.aborted) {
      const reason = `${why}; another build is at it`;
      return await running.join(onOutput, signal, () => onRun(randomHex(32), reason));
    }
    const id = randomHex(32);
    const flight = new Flight((own) =>
      this.#run(key, vertex, id, own).finally(() => {
        if (this.#flights.get(name) === own) this.#flights.delete(name);
      }),
    );
    // In the same turn as it was looked for: who comes meanwhile must find it.
    this.#flights.set(name, flight);
    return await flight.join(onOutput, signal, () => onRun(id, why));
  }

  async #run(key: Digest, vertex: Vertex, id: string, flight: Flight): Promise<Solved> {
    // Whoever started it joins first.
    await Promise.resolve();
    const { run, parent, mtimeMaxSeconds } = vertex;
    const context: RunContext = {
      id,
      signal: flight.controller.signal,
      output: (stream, bytes) => flight.output(stream, bytes),
      ...(mtimeMaxSeconds === undefined ? {} : { mtimeMaxSeconds }),
    };
    using _parent = this.hold(parent);
    context.signal.throwIfAborted();
    return this.#store(key, vertex, await run?.(context));
  }

  #store(key: Digest, vertex: Vertex, chainId: Digest | undefined): Solved {
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
    return { key, chainId, created, isCached: false };
  }

  /** From now on it is in the cache of this machine. */
  #adopt(key: Digest, vertex: Vertex, imported: Imported): Solved {
    const { rows, snapshots } = this.#dependencies;
    const { chainId, createdAt, description, hasLayer } = imported;
    rows.put({
      key,
      chainId,
      parent: vertex.parent,
      created: createdAt,
      description,
      hasLayer,
      sizeBytes: hasLayer && chainId !== undefined ? (snapshots.layer(chainId)?.sizeBytes ?? 0) : 0,
      lastUsedAt: now(),
      useCount: 1,
    });
    return { key, chainId, created: createdAt, isCached: true };
  }
}

const keyOf = (parts: KeyParts): Digest => {
  const inputs = Object.entries(parts.inputs).map(([name, { digest }]) => [name, digest]);
  return digestOf(JSON.stringify({ version: 1, ...parts, parent: parts.parent ?? null, inputs }));
};
