/** Published ports that are carried over by the process beside, the daemon's side: who is to be reached where. */
import { existsSync, readFileSync } from "node:fs";
import type { Ask } from "#companion/companion.ts";
import type { Logger } from "#lib/log.ts";
import type { Beside } from "#network/beside.ts";
import type { PortForward } from "#network/firewall.ts";
import type { PortKernel } from "#network/port-reservations.ts";
import type { RefusedRelay, Relay } from "#network/process-protocol.ts";

/** A forward with the descriptor that holds its port. */
export type HeldForward = PortForward & { readonly fd: number };

const LOOPBACK6 = "::1";
/** Who is reachable at 127.0.0.1 is so at [::1] too: programs take "localhost" for either. */
const AT_LOOPBACK: readonly string[] = ["0.0.0.0", "127.0.0.1", "::"];

/** What comes by IPv6 and goes on by IPv4 cannot be routed; nor can what comes to [::1]. */
export const isCarried = ({ hostIp, ip }: PortForward): boolean =>
  hostIp === LOOPBACK6 || (hostIp.includes(":") && !ip.includes(":"));

const relaysOf = (forwards: readonly HeldForward[]): Relay[] => {
  const tcp = forwards.filter(({ protocol }) => protocol === "tcp");
  const relayAt =
    (address?: string) =>
    ({ hostIp, hostPort, ip, port }: HeldForward): Relay => ({
      hostIp: address ?? hostIp,
      hostPort,
      ip,
      port,
    });
  const carried = tcp.filter(isCarried).map(relayAt());
  const isThere = (forward: HeldForward): boolean =>
    carried.some(
      ({ hostIp, hostPort }) =>
        hostPort === forward.hostPort && (hostIp === "::" || hostIp === LOOPBACK6),
    );
  const local = tcp.filter((one) => AT_LOOPBACK.includes(one.hostIp) && !isThere(one));
  // Of both families the first, IPv4: who listens in the other does so in this one, as a rule.
  const byPort = new Map(local.toReversed().map((forward) => [forward.hostPort, forward]));
  return [...carried, ...[...byPort.values()].map(relayAt(LOOPBACK6))];
};

interface Wanted {
  readonly relays: readonly Relay[];
  /** Descriptors that hold ports of IPv6. */
  readonly held: readonly number[];
}

/** Whether this host has IPv6: its loopback tells (proc(5), "if_inet6"). */
export const hasIpv6 = (): boolean => {
  const path = "/proc/net/if_inet6";
  return existsSync(path) && /^0{31}1 /m.test(readFileSync(path, "utf8"));
};

/** An answer takes a fraction of a millisecond; the end of a container waits no longer for it. */
const WITHDRAWN_MS = 1000;

export interface RelaysOptions {
  readonly beside: Beside;
  readonly ports: Pick<PortKernel, "sharePort">;
  readonly logger: Logger;
}

export class Relays {
  readonly #options: RelaysOptions;
  readonly #wanted = new Map<string, Wanted>();
  /** Withdrawn, and the process has not answered yet. */
  readonly #leaving = new Set<Wanted>();
  /** Those that could not be had. */
  readonly #refused = new Map<string, readonly RefusedRelay[]>();

  constructor(options: RelaysOptions) {
    this.#options = options;
    options.beside.onSync((ask) => this.#sync(ask));
  }

  /** Whether connections to the port at this address of IPv6 are carried to the container. */
  isRelayed(containerId: string, hostIp: string, hostPort: number): boolean {
    const isIt = (relay: Relay): boolean =>
      relay.hostPort === hostPort &&
      (relay.hostIp === hostIp || (relay.hostIp === "::" && hostIp === LOOPBACK6));
    return (
      this.#wanted.get(containerId)?.relays.some(isIt) === true &&
      this.#refused.get(containerId)?.some(isIt) !== true
    );
  }

  /**
   * Resolves with those that cannot be had. Rejects only where `isAwaited`: the address was asked for by
   * name; otherwise a container does not wait for the process to start, nor fail with it.
   */
  async set(
    containerId: string,
    forwards: readonly HeldForward[],
    isAwaited: boolean,
  ): Promise<readonly RefusedRelay[]> {
    const { beside, logger } = this.#options;
    const wanted = this.#want(containerId, forwards);
    if (wanted === undefined) return [];
    const led = this.#lead(containerId, wanted, (task) => beside.ask(task as never));
    if (isAwaited) return await led;
    const told = led.catch((error: unknown) => {
      logger.warn("IPv6 does not lead to published ports", { error: String(error) });
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

  /** Whether the process may still listen on the port for somebody who has gone. */
  isLeaving(hostPort: number): boolean {
    return this.#leaving
      .values()
      .some((wanted) => wanted.relays.some((r) => r.hostPort === hostPort));
  }

  /**
   * Resolves when nothing is carried there any more; does not wait for a process that only starts, nor long for one that
   * does not answer. Never rejects.
   */
  async delete(containerId: string): Promise<void> {
    this.#refused.delete(containerId);
    const wanted = this.#wanted.get(containerId);
    if (wanted === undefined) return;
    this.#wanted.delete(containerId);
    const withdrawn = this.#withdraw(containerId, wanted);
    if (!this.#options.beside.isUp) return;
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, WITHDRAWN_MS);
    await Promise.race([withdrawn, late.promise]);
    clearTimeout(timer);
  }

  async #withdraw(containerId: string, wanted: Wanted): Promise<void> {
    const { beside, logger } = this.#options;
    this.#leaving.add(wanted);
    try {
      await beside.askRunning({ kind: "relay", containerId, relays: [] });
    } catch (error) {
      logger.debug("a published port was not withdrawn from IPv6", { error: String(error) });
    } finally {
      this.#leaving.delete(wanted);
    }
  }

  #want(containerId: string, forwards: readonly HeldForward[]): Wanted | undefined {
    const relays = relaysOf(forwards);
    if (relays.length === 0 || !hasIpv6()) return undefined;
    const held = forwards.filter(
      ({ hostIp, protocol }) => protocol === "tcp" && hostIp.includes(":"),
    );
    const wanted = { relays, held: held.map(({ fd }) => fd) };
    this.#wanted.set(containerId, wanted);
    return wanted;
  }

  async #sync(ask: Ask): Promise<void> {
    await ask({ kind: "keepRelays", containerIds: [...this.#wanted.keys()] });
    for (const [containerId, wanted] of this.#wanted) {
      // oxlint-disable-next-line no-await-in-loop -- a fraction of a millisecond each
      await this.#lead(containerId, wanted, ask);
    }
  }

  /** A held port is lent for the moment in which the process takes it, or ::1 of it. */
  async #lead(containerId: string, wanted: Wanted, ask: Ask): Promise<readonly RefusedRelay[]> {
    const { ports } = this.#options;
    const { relays, held } = wanted;
    for (const fd of held) ports.sharePort(fd, true);
    try {
      const refused = (await ask({ kind: "relay", containerId, relays })) as RefusedRelay[];
      this.#refused.set(containerId, refused);
      for (const { hostIp, hostPort, errno } of refused) {
        const where = `[${hostIp}]:${hostPort}`;
        this.#options.logger.warn("IPv6 does not lead to a published port", { where, errno });
      }
      return refused;
    } finally {
      if (this.#wanted.get(containerId) === wanted)
        for (const fd of held) ports.sharePort(fd, false);
    }
  }
}
