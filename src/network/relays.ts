/** Published ports at [::1], the daemon's side: who is to be reached there. */
import { existsSync, readFileSync } from "node:fs";
import type { Ask } from "#companion/companion.ts";
import type { Logger } from "#lib/log.ts";
import type { Beside } from "#network/beside.ts";
import type { PortForward } from "#network/firewall.ts";
import type { PortKernel } from "#network/port-reservations.ts";
import type { Relay } from "#network/process-protocol.ts";

/** A forward with the descriptor that holds its port. */
export type HeldForward = PortForward & { readonly fd: number };

const LOOPBACK6 = "::1";
/** Who is reachable at 127.0.0.1 is so at [::1] too: programs take "localhost" for either. */
const RELAYED: readonly string[] = ["0.0.0.0", "127.0.0.1", "::", LOOPBACK6];

/** Whether this host has an IPv6 loopback (proc(5), "if_inet6"). */
const hasLoopback6 = (): boolean => {
  const path = "/proc/net/if_inet6";
  return existsSync(path) && /^0{31}1 /m.test(readFileSync(path, "utf8"));
};

export interface RelaysOptions {
  readonly beside: Beside;
  readonly ports: Pick<PortKernel, "sharePort">;
  readonly logger: Logger;
}

export class Relays {
  readonly #options: RelaysOptions;
  readonly #wanted = new Map<string, readonly HeldForward[]>();
  /** Host ports that somebody else has at [::1]. */
  readonly #refused = new Map<string, readonly number[]>();

  constructor(options: RelaysOptions) {
    this.#options = options;
    options.beside.onSync((ask) => this.#sync(ask));
  }

  /** Whether [::1] leads where this port of the container leads. */
  isRelayed(containerId: string, hostPort: number): boolean {
    const wanted = this.#wanted.get(containerId) ?? [];
    return (
      wanted.some((forward) => forward.hostPort === hostPort && forward.protocol === "tcp") &&
      this.#refused.get(containerId)?.includes(hostPort) !== true
    );
  }

  /**
   * Resolves with the ports of [::1] that somebody else has. Rejects only where [::1] itself was asked
   * for; otherwise a container does not wait for the process to start, nor fail with it.
   */
  async set(containerId: string, forwards: readonly HeldForward[]): Promise<readonly number[]> {
    const { beside, logger } = this.#options;
    const wanted = this.#want(containerId, forwards);
    if (wanted.length === 0) return [];
    const led = this.#lead(containerId, wanted, (task) => beside.ask(task as never));
    if (wanted.some(({ hostIp }) => hostIp === LOOPBACK6)) return await led;
    const told = led.catch((error: unknown) => {
      logger.warn("[::1] does not lead to published ports", { error: String(error) });
      return [];
    });
    return beside.isUp ? await told : [];
  }

  /** Without waiting, for all at once; those of other containers go. */
  replaceAll(all: ReadonlyMap<string, readonly HeldForward[]>): void {
    this.#wanted.clear();
    this.#refused.clear();
    for (const [containerId, forwards] of all) this.#want(containerId, forwards);
    if (this.#wanted.size > 0) void this.#options.beside.warm();
  }

  delete(containerId: string): void {
    this.#refused.delete(containerId);
    if (!this.#wanted.delete(containerId)) return;
    this.#options.beside.tell({ kind: "relay", containerId, relays: [] });
  }

  #want(containerId: string, forwards: readonly HeldForward[]): readonly HeldForward[] {
    const wanted = forwards.filter(
      ({ hostIp, protocol }) => protocol === "tcp" && RELAYED.includes(hostIp),
    );
    if (wanted.length === 0 || !hasLoopback6()) return [];
    this.#wanted.set(containerId, wanted);
    return wanted;
  }

  async #sync(ask: Ask): Promise<void> {
    await ask({ kind: "keepRelays", containerIds: [...this.#wanted.keys()] });
    for (const [containerId, forwards] of this.#wanted) {
      // oxlint-disable-next-line no-await-in-loop -- a fraction of a millisecond each
      await this.#lead(containerId, forwards, ask);
    }
  }

  /** A port held for all addresses of IPv6 is lent for the moment in which the process takes ::1 of it. */
  async #lead(
    containerId: string,
    forwards: readonly HeldForward[],
    ask: Ask,
  ): Promise<readonly number[]> {
    const { ports } = this.#options;
    const lent = forwards.filter(({ hostIp }) => hostIp.includes(":"));
    // Of both families the first, IPv4: who listens in the other does so in this one, as a rule.
    const inTurn = forwards.map((forward) => [forward.hostPort, forward] as const);
    const byPort = new Map(inTurn.toReversed());
    const relays = [...byPort.values()].map(({ hostPort, ip, port }): Relay => ({
      hostPort,
      ip,
      port,
    }));
    for (const { fd } of lent) ports.sharePort(fd, true);
    try {
      const refused = (await ask({ kind: "relay", containerId, relays })) as number[];
      this.#refused.set(containerId, refused);
      return refused;
    } finally {
      for (const { fd } of lent)
        if (this.#wanted.get(containerId) === forwards) ports.sharePort(fd, false);
    }
  }
}
