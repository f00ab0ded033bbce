/**
 * Runs in the network's process. The host's IPv6 loopback cannot be routed to containers (there is no
 * route_localnet for ::1, and most containers have IPv4 alone): connections to published ports of [::1] are
 * carried over, byte by byte.
 */
import { type Socket, connect } from "node:net";
import type { Relay } from "#network/process-protocol.ts";

/** Listens on [::1]; rejects with errno EADDRINUSE when somebody has the port. */
export type ListenLoopback6 = (
  port: number,
  onSocket: (socket: Socket) => void,
) => Promise<{ close(): void }>;

interface Listening extends Relay {
  readonly listener: { close(): void };
}

const CONNECT_MS = 5000;

const carry = (client: Socket, ip: string, port: number): void => {
  const target = connect({ host: ip, port, allowHalfOpen: true, noDelay: true });
  const drop = (): void => {
    client.destroy();
    target.destroy();
  };
  const timer = setTimeout(drop, CONNECT_MS);
  target.once("connect", () => clearTimeout(timer));
  // A broken side is told to the other by the end of its connection.
  for (const socket of [client, target]) {
    socket.once("error", drop);
    socket.once("close", () => clearTimeout(timer));
  }
  client.pipe(target);
  target.pipe(client);
};

export class Relayer {
  readonly #listen: ListenLoopback6;
  readonly #byContainer = new Map<string, Listening[]>();

  constructor(listen: ListenLoopback6) {
    this.#listen = listen;
  }

  get isIdle(): boolean {
    return this.#byContainer.size === 0;
  }

  /** Gives the ports that could not be had. Connections that are open go on. */
  async set(containerId: string, relays: readonly Relay[]): Promise<number[]> {
    const earlier = this.#byContainer.get(containerId) ?? [];
    const same = (one: Relay, other: Relay): boolean =>
      one.hostPort === other.hostPort && one.ip === other.ip && one.port === other.port;
    const kept = earlier.filter((one) => relays.some((other) => same(one, other)));
    for (const one of earlier) if (!kept.includes(one)) one.listener.close();
    const refused: number[] = [];
    for (const relay of relays) {
      if (kept.some((one) => same(one, relay))) continue;
      const { hostPort, ip, port } = relay;
      try {
        // oxlint-disable-next-line no-await-in-loop -- a few microseconds each
        const listener = await this.#listen(hostPort, (socket) => carry(socket, ip, port));
        kept.push({ ...relay, listener });
      } catch {
        refused.push(hostPort);
      }
    }
    if (kept.length === 0) this.#byContainer.delete(containerId);
    else this.#byContainer.set(containerId, kept);
    return refused;
  }

  keep(containerIds: readonly string[]): void {
    const kept = new Set(containerIds);
    for (const id of this.#byContainer.keys()) if (!kept.has(id)) void this.set(id, []);
  }

  close(): void {
    for (const id of this.#byContainer.keys()) void this.set(id, []);
  }
}
