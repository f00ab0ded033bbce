/** The time of a server's connections: each second, and each minute while nobody asks anything. */
import type { Connection } from "#api/http/connection.ts";

const TICK_MS = 1000;
/** While all connections are parked. */
const SLOW_TICK_MS = 60_000;
/** A connection on which nobody asks anything for so long is parked. */
const PARK_TICKS = 5;

export class ConnectionClock {
  readonly #connections: ReadonlySet<Connection>;
  readonly #age: (connection: Connection) => void;
  readonly #parked = new Set<Connection>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #tickMs = TICK_MS;

  /** `age` is told of a connection that has become older: its `idleTicks` are seconds. */
  constructor(connections: ReadonlySet<Connection>, age: (connection: Connection) => void) {
    this.#connections = connections;
    this.#age = age;
  }

  /** A connection has come, or wakes. */
  start(): void {
    this.#set(TICK_MS);
  }

  /** A connection has gone. */
  forget(connection: Connection): void {
    this.#parked.delete(connection);
    if (this.#connections.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #set(tickMs: number): void {
    if (this.#timer !== undefined && this.#tickMs === tickMs) return;
    clearInterval(this.#timer);
    this.#tickMs = tickMs;
    this.#timer = setInterval(() => this.#tick(), tickMs).unref();
  }

  #tick(): void {
    for (const connection of this.#connections) {
      connection.idleTicks += this.#tickMs / TICK_MS;
      this.#age(connection);
      const isSilent = connection.phase === "idle" && connection.idleTicks >= PARK_TICKS;
      if (isSilent && !this.#parked.has(connection)) this.#park(connection);
    }
    const { size } = this.#connections;
    if (size > 0 && this.#parked.size === size) this.#set(SLOW_TICK_MS);
  }

  #park(connection: Connection): void {
    const isParked = connection.socket.park?.(() => {
      this.#parked.delete(connection);
      this.start();
    });
    if (isParked === true) this.#parked.add(connection);
  }
}
