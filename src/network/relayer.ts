/**
 * Runs in the network's process. What comes to the host by IPv6 cannot be routed to containers that have IPv4 alone,
 * nor what comes to [::1] to any (there is no route_localnet for it): such connections to published ports are carried
 * over, byte by byte.
 */
import { type Socket, connect } from "node:net";
import { NaruError } from "#lib/errors.ts";
import type { RefusedRelay, Relay } from "#network/process-protocol.ts";

/** Listens on an address of IPv6 alone; rejects with `details.errno`, EADDRINUSE when somebody has the port. */
export type ListenIpv6 = (
  address: string,
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

const errnoOf = (error: unknown): string =>
  error instanceof NaruError && typeof error.details["errno"] === "string"
    ? error.details["errno"]
    : String(error);

export class Relayer {
  readonly #listen: ListenIpv6;
  readonly #byContainer = new Map<string, Listening[]>();

  constructor(listen: ListenIpv6) {
    this.#listen = listen;
  }

  get isIdle(): boolean {
    return this.#byContainer.size === 0;
  }

  /** Gives those that could not be had. Connections that are open go on. */
  async set(containerId: string, relays: readonly Relay[]): Promise<RefusedRelay[]> {
    const earlier = this.#byContainer.get(containerId) ?? [];
    const same = (one: Relay, other: Relay): boolean =>
      one.hostIp === other.hostIp &&
      one.hostPort === other.hostPort &&
      one.ip === other.ip &&
      one.port === other.port;
    const kept = earlier.filter((one) => relays.some((other) => same(one, other)));
    for (const one of earlier) if (!kept.includes(one)) one.listener.close();
    const refused: RefusedRelay[] = [];
    for (const relay of relays) {
      if (kept.some((one) => same(one, relay))) continue;
      const { hostIp, hostPort, ip, port } = relay;
      try {
        // oxlint-disable-next-line no-await-in-loop -- a few microseconds each
        const listener = await this.#listen(hostIp, hostPort, (socket) => carry(socket, ip, port));
        kept.push({ ...relay, listener });
      } catch (error) {
        refused.push({ ...relay, errno: errnoOf(error) });
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
