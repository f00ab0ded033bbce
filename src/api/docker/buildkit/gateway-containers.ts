/** Containers that a caller of the gateway has, by the ids that it chose. They end with it. */
import type { BuildContainer } from "#build/llb/llb.ts";
import { NaruError } from "#lib/errors.ts";

const CONTAINERS_MAX = 100;

interface Held {
  readonly container: BuildContainer;
  /** What was lent to it. */
  readonly lent: DisposableStack;
}

const release = async ({ container, lent }: Held): Promise<void> => {
  using _lent = lent;
  await container[Symbol.asyncDispose]();
};

export class GatewayContainers {
  readonly #containers = new Map<string, Held>();
  readonly #opening = new Set<string>();
  readonly #over = new AbortController();

  /** Aborts when the caller is over. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** Throws not_found. */
  get(id: string): BuildContainer {
    const held = this.#containers.get(id);
    if (held !== undefined) return held.container;
    throw new NaruError("not_found", `container "${id}" previously released or not created`);
  }

  /** Throws already_exists, and what `open` throws. */
  async add(id: string, open: (lent: DisposableStack) => Promise<BuildContainer>): Promise<void> {
    this.#check(id);
    this.#opening.add(id);
    using undo = new DisposableStack();
    try {
      const lent = undo.use(new DisposableStack());
      const container = await open(lent);
      undo.move();
      this.#containers.set(id, { container, lent });
    } finally {
      this.#opening.delete(id);
    }
    if (this.signal.aborted) await this.remove(id);
  }

  #check(id: string): void {
    this.signal.throwIfAborted();
    if (id === "") throw new NaruError("invalid_argument", "a container needs an id");
    if (this.#containers.has(id) || this.#opening.has(id)) {
      throw new NaruError("already_exists", `container "${id}" exists already`);
    }
    if (this.#containers.size + this.#opening.size >= CONTAINERS_MAX) {
      const reason = `a build has ${CONTAINERS_MAX} containers at most: release one first`;
      throw new NaruError("resource_exhausted", reason);
    }
  }

  /** Ends its processes. Throws not_found. */
  async remove(id: string): Promise<void> {
    const held = this.#containers.get(id);
    if (held === undefined) this.get(id);
    else {
      this.#containers.delete(id);
      await release(held);
    }
  }

  /** All of them, and those to come. Throws what the first that was not wholly removed throws, when all were tried. */
  async close(): Promise<void> {
    this.#over.abort(new NaruError("canceled", "the build is over"));
    const all = [...this.#containers.values()];
    this.#containers.clear();
    const ended = await Promise.allSettled(all.map(release));
    for (const one of ended) if (one.status === "rejected") throw one.reason;
  }
}
