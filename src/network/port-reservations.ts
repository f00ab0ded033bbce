/**
 * Host ports in use by this instance. Each is held by a bound socket that never listens: whoever else
 * binds the port gets EADDRINUSE, and so do we when somebody had it before. The socket is closed when
 * the port is given back.
 */
import { readFileSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { PortProtocol, PublishRequest } from "#spec/docker/ports.ts";

/** The kernel's part: see `kernel/reserve.ts`. */
export interface PortKernel {
  /** Binds and holds a port of an address; returns the descriptor. Throws with `details.errno`. */
  reservePort(address: string, port: number, protocol: PortProtocol, isShared?: boolean): number;
  closePort(fd: number): void;
  /** While it is on, a process of the same user may listen on the port too (SO_REUSEPORT, socket(7)). */
  sharePort(fd: number, isShared: boolean): void;
}

export interface HeldPort {
  readonly hostIp: string;
  readonly hostPort: number;
  readonly protocol: PortProtocol;
  readonly containerId: string;
  readonly fd: number;
}

const FALLBACK_RANGE = { first: 32768, last: 60999 };

/** Where ports that nobody chose come from: the kernel's own range for outgoing connections. */
export const readEphemeralRange = (): { first: number; last: number } => {
  const text = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8");
  const [first, last] = text.trim().split(/\s+/).map(Number);
  return first === undefined || last === undefined || Number.isNaN(first + last)
    ? FALLBACK_RANGE
    : { first, last };
};

const errnoOf = (error: unknown): unknown =>
  error instanceof NaruError ? error.details["errno"] : undefined;

const keyOf = (protocol: PortProtocol, hostPort: number): string => `${protocol}/${hostPort}`;

export class PortReservations {
  readonly #kernel: PortKernel;
  readonly #range: { readonly first: number; readonly last: number };
  /** Several host addresses may hold the same port number. */
  readonly #held = new Map<string, HeldPort[]>();
  /** Whether our own process beside the daemon may still listen on a port of IPv6 that is free already. */
  readonly #isLeaving: (hostPort: number) => boolean;
  #next: number;

  constructor(
    kernel: PortKernel,
    range: { readonly first: number; readonly last: number },
    isLeaving: (hostPort: number) => boolean = () => false,
  ) {
    this.#kernel = kernel;
    this.#range = range;
    this.#isLeaving = isLeaving;
    this.#next = range.first;
  }

  /** Of containers' ports; one that is held at several addresses of the host counts once. */
  get count(): number {
    const ownersOf = (list: readonly HeldPort[]): number =>
      new Set(list.map(({ containerId }) => containerId)).size;
    return this.#held.values().reduce((sum, list) => sum + ownersOf(list), 0);
  }

  /**
   * While it is on, ports of IPv6 are taken although our own process beside the daemon listens
   * on them: after a restart it goes on with what an earlier daemon told it.
   */
  isTakingAgain = false;

  /** Holds one port for the wish. Throws `conflict` when none is free. */
  reserve(containerId: string, wish: PublishRequest, hostIp: string): HeldPort {
    const protocol = wish.port.protocol;
    const { hostPorts } = wish;
    if (hostPorts === undefined) return this.#reserveAny(containerId, hostIp, protocol);
    for (let port = hostPorts.first; port < hostPorts.last; port += 1) {
      const held = this.#tryReserve(containerId, hostIp, port, protocol);
      if (held !== undefined) return held;
    }
    return this.#hold(containerId, hostIp, hostPorts.last, protocol);
  }

  giveBack(held: HeldPort): void {
    const key = keyOf(held.protocol, held.hostPort);
    const rest = (this.#held.get(key) ?? []).filter((other) => other !== held);
    if (rest.length === 0) this.#held.delete(key);
    else this.#held.set(key, rest);
    this.#kernel.closePort(held.fd);
  }

  #reserveAny(containerId: string, hostIp: string, protocol: PortProtocol): HeldPort {
    const { first, last } = this.#range;
    for (let step = first; step <= last; step += 1) {
      const port = this.#next;
      this.#next = port < last ? port + 1 : first;
      const held = this.#tryReserve(containerId, hostIp, port, protocol);
      if (held !== undefined) return held;
    }
    throw new NaruError(
      "resource_exhausted",
      `all ports are allocated: no free ${protocol} port in ${first}-${last} on "${hostIp}"`,
    );
  }

  #tryReserve(
    containerId: string,
    hostIp: string,
    port: number,
    protocol: PortProtocol,
  ): HeldPort | undefined {
    try {
      return this.#hold(containerId, hostIp, port, protocol);
    } catch (error) {
      if (errnoOf(error) === "EADDRINUSE") return undefined;
      throw error;
    }
  }

  #hold(containerId: string, hostIp: string, hostPort: number, protocol: PortProtocol): HeldPort {
    const key = keyOf(protocol, hostPort);
    const list = this.#held.get(key) ?? [];
    let fd: number;
    try {
      const isOurs = this.isTakingAgain || this.#isLeaving(hostPort);
      const isShared = isOurs && hostIp.includes(":") && protocol === "tcp";
      fd = this.#kernel.reservePort(hostIp, hostPort, protocol, isShared);
    } catch (cause) {
      throw this.#explain(cause, list, hostIp, hostPort, protocol);
    }
    const held: HeldPort = { hostIp, hostPort, protocol, containerId, fd };
    this.#held.set(key, [...list, held]);
    return held;
  }

  #explain(
    cause: unknown,
    list: readonly HeldPort[],
    hostIp: string,
    hostPort: number,
    protocol: PortProtocol,
  ): NaruError {
    const errno = errnoOf(cause);
    const subject = `${hostIp}:${hostPort}`;
    if (errno !== "EADDRINUSE") {
      const reason =
        errno === "EADDRNOTAVAIL"
          ? "this host has no such address"
          : String((cause as Error).message);
      return new NaruError("invalid_argument", `Bind for ${subject} failed: ${reason}`, {
        cause,
        details: { errno },
      });
    }
    // The same port of the other family stands in nobody's way.
    const family = list.filter((held) => held.hostIp.includes(":") === hostIp.includes(":"));
    const owner = family.find((held) => held.hostIp === hostIp) ?? family[0];
    const message =
      owner === undefined
        ? `failed to bind host port for ${subject}/${protocol}: address already in use by another process of this host`
        : `Bind for ${subject} failed: port is already allocated`;
    const details = { errno, hostIp, hostPort, protocol, owner: owner?.containerId };
    return new NaruError("conflict", message, { cause, details });
  }
}
