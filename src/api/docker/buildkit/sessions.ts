/**
 * Sessions: connections over which a client serves the engine (files, credentials, secrets). A session is
 * known by the id that its client chose, from its connection's upgrade until the connection ends.
 */
import { GrpcClient } from "#api/grpc/client.ts";
import { sleep } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import type { Duplex } from "node:stream";

/** How long a build waits for its session: clients open both at once. */
const ARRIVAL_MS = 10_000;
/** Sessions at the same time. */
const SESSIONS_MAX = 1000;

export interface ClientSession {
  readonly id: string;
  /** Names the client's directory across builds; "" for none. */
  readonly sharedKey: string;
  readonly client: GrpcClient;
  /** True for "/moby.filesync.v1.FileSync/DiffCopy" and the like that the client has announced. */
  supports(method: string): boolean;
}

export class Sessions {
  readonly #sessions = new Map<string, ClientSession>();
  readonly #waiting = new Map<string, Set<() => void>>();

  /** To be called before the upgrade: throws while there is still an answer to give. */
  check(fields: ReadonlyMap<string, string>): void {
    const id = fields.get("x-docker-expose-session-uuid") ?? "";
    if (id === "") {
      const field = "X-Docker-Expose-Session-Uuid";
      throw new NaruError("invalid_argument", `a session needs an id in the header "${field}"`);
    }
    if (this.#sessions.has(id)) {
      throw new NaruError("conflict", `session "${id}" already exists`);
    }
    if (this.#sessions.size >= SESSIONS_MAX) {
      throw new NaruError("resource_exhausted", `there are ${SESSIONS_MAX} sessions already`);
    }
  }

  /** Resolves when the connection has ended. */
  async serve(fields: ReadonlyMap<string, string>, connection: Duplex): Promise<void> {
    const id = fields.get("x-docker-expose-session-uuid") ?? "";
    const methods = new Set(
      (fields.get("x-docker-expose-session-grpc-method") ?? "")
        .split(",")
        .map((method) => method.trim().toLowerCase()),
    );
    const client = new GrpcClient(connection);
    this.#sessions.set(id, {
      id,
      sharedKey: fields.get("x-docker-expose-session-sharedkey") ?? "",
      client,
      supports: (method) => methods.has(method.toLowerCase()),
    });
    for (const wake of this.#waiting.get(id) ?? []) wake();
    try {
      await client.closed;
    } finally {
      this.#sessions.delete(id);
      client.close();
    }
  }

  /** Waits a while for a session that has not arrived yet. Throws not_found. `id` may be "name:id". */
  async get(id: string, signal: AbortSignal): Promise<ClientSession> {
    const key = id.slice(id.indexOf(":") + 1);
    const present = this.#sessions.get(key);
    if (present !== undefined) return present;
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, waiting.add(resolve));
    const stop = new AbortController();
    try {
      const timer = sleep(ARRIVAL_MS, AbortSignal.any([signal, stop.signal]));
      timer.catch(() => undefined); // Stopped below.
      await Promise.race([promise, timer]);
    } finally {
      stop.abort();
      waiting.delete(resolve);
      if (waiting.size === 0) this.#waiting.delete(key);
    }
    const arrived = this.#sessions.get(key);
    if (arrived !== undefined) return arrived;
    throw new NaruError("not_found", `no active session for "${key}": the client did not open it`);
  }
}
