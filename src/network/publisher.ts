/** Published ports: from wishes to held host ports and elements of the firewall's maps. */
import { NaruError, toNaruError } from "#lib/errors.ts";
import type { PortMap } from "#spec/docker/host-config.ts";
import { formatPort, parsePortMap, type PublishRequest } from "#spec/docker/ports.ts";
import {
  type Family,
  type OpenPort,
  type PortForward,
  renderAdd,
  renderDelete,
  renderOpen,
  renderReplace,
  renderShut,
} from "#network/firewall.ts";
import type { FirewallWriter } from "#network/firewall-writer.ts";
import type { Endpoint, PublishOrder } from "#network/network.ts";
import type { HeldPort, PortReservations } from "#network/port-reservations.ts";
import { type HeldForward, type Relays, hasIpv6, isCarried } from "#network/relays.ts";
import type { RefusedRelay } from "#network/process-protocol.ts";

interface Publication {
  readonly held: readonly HeldPort[];
  readonly forwards: readonly HeldForward[];
  /** Of a routed network: reached without a port of the host. */
  readonly opened: readonly OpenPort[];
  readonly realized: PortMap;
}

export interface PublisherOptions {
  readonly table: string;
  readonly firewall: FirewallWriter;
  readonly reservations: PortReservations;
  readonly relays: Relays;
  /** Told when the firewall refuses to forget a port: an end is not held up by it. */
  readonly onError: (error: unknown) => void;
}

/** An order with the endpoint it is for. */
export interface PublishTarget extends PublishOrder {
  readonly endpoint: Endpoint;
  /** Where a port goes whose binding names no host address. */
  readonly hostIp: string;
  /** Its network's IPv6 addresses are reached themselves; the host's stand for nothing there. */
  readonly isRouted6: boolean;
}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #publications = new Map<string, Publication>();

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  get portCount(): number {
    return this.#options.reservations.count;
  }

  async publish(order: PublishTarget): Promise<PortMap> {
    void this.unpublish(order.containerId);
    const publication = this.#reserve(order);
    if (isEmpty(publication)) return publication.realized;
    this.#publications.set(order.containerId, publication);
    try {
      const [refused] = await Promise.all([
        this.#options.relays.set(
          order.containerId,
          publication.forwards,
          publication.forwards.some((one) => isCarried(one) && isNamed(order, one.hostIp)),
        ),
        this.#options.firewall.write(
          renderAdd(this.#options.table, publication.forwards.filter(isRouted)) +
            renderOpen(this.#options.table, publication.opened),
        ),
      ]);
      checkCarried(order, publication, refused);
    } catch (error) {
      if (this.#publications.get(order.containerId) === publication) {
        this.#publications.delete(order.containerId);
        void this.#options.relays.delete(order.containerId);
        this.#giveBack(publication);
      }
      throw explain(order, error);
    }
    return publication.realized;
  }

  /** Never rejects: a refusal is told to `onError`. */
  async unpublish(containerId: string): Promise<void> {
    const publication = this.#publications.get(containerId);
    if (publication === undefined) return;
    this.#publications.delete(containerId);
    const withdrawn = this.#options.relays.delete(containerId);
    this.#giveBack(publication);
    // The element goes before a later one of the same port comes: the writer keeps the order.
    await this.#options.firewall
      .write(
        renderDelete(this.#options.table, publication.forwards.filter(isRouted)) +
          renderShut(this.#options.table, publication.opened),
      )
      .catch(this.#options.onError);
    await withdrawn;
  }

  /**
   * Holds the ports of all orders and makes them the only published ones, in one transaction. Their containers run
   * already: where somebody else has got one of a container's ports meanwhile, the others go on.
   */
  async replaceAll(
    orders: readonly PublishTarget[],
    families: readonly Family[],
  ): Promise<{ readonly containerId: string; readonly error: unknown }[]> {
    const failures: { containerId: string; error: unknown }[] = [];
    this.#options.reservations.isTakingAgain = true;
    for (const order of orders) {
      const { containerId } = order;
      const publication = this.#reserve(order, (error) => failures.push({ containerId, error }));
      if (!isEmpty(publication)) this.#publications.set(containerId, publication);
    }
    this.#options.reservations.isTakingAgain = false;
    const all = this.#publications.entries().map(([id, { forwards }]) => [id, forwards] as const);
    const byContainer = new Map(all);
    this.#options.relays.replaceAll(byContainer);
    const forwards = [...byContainer.values()].flat().filter(isRouted);
    const opened = [...this.#publications.values()].flatMap((publication) => publication.opened);
    await this.#options.firewall.write(
      renderReplace(this.#options.table, forwards, families) +
        renderOpen(this.#options.table, opened),
    );
    return failures;
  }

  /** Lets go of the sockets only; what is published stays so. */
  close(): void {
    for (const publication of this.#publications.values()) this.#giveBack(publication);
    this.#publications.clear();
  }

  /** `onFailure` is told of what cannot be had; without it that is an error of the whole. */
  #reserve(order: PublishTarget, onFailure?: (error: NaruError) => void): Publication {
    const wishes = parsePortMap(order.ports);
    const held: HeldPort[] = [];
    // Ports that are only exposed stay in the answer, as inspect shows them.
    const realized: PortMap = Object.fromEntries(
      Object.entries(order.ports).flatMap(([key, bindings]) =>
        (bindings ?? []).length > 0 ? [] : [[key, null]],
      ),
    );
    const forwards: HeldForward[] = [];
    const opened = openedBy(order, wishes);
    const isHostDual = wishes.length > 0 && hasIpv6();
    for (const wish of wishes) {
      if (isOpenAlone(order.isRouted6, wish)) {
        (realized[formatPort(wish.port)] ??= []).push({ HostIp: wish.hostIp, HostPort: "" });
        continue;
      }
      try {
        for (const one of this.#reserveOne(order, wish, isHostDual)) {
          held.push(one);
          forwards.push({
            ...one,
            ip: targetOf(order, one.hostIp, one.protocol),
            port: wish.port.number,
          });
          (realized[formatPort(wish.port)] ??= []).push({
            HostIp: one.hostIp,
            HostPort: String(one.hostPort),
          });
        }
      } catch (error) {
        const explained = explain(order, error);
        if (onFailure === undefined) {
          this.#giveBack({ held, forwards, opened, realized });
          throw explained;
        }
        onFailure(explained);
      }
    }
    return { held, forwards, opened, realized };
  }

  /**
   * One port, or the same one in both families where nobody named an address and the host has both. A container of
   * IPv4 alone goes without the other where somebody has the port there, or cannot be carried to (UDP).
   */
  #reserveOne(order: PublishTarget, wish: PublishRequest, isHostDual: boolean): HeldPort[] {
    const { reservations } = this.#options;
    const hostIp = wish.hostIp === "" ? order.hostIp : wish.hostIp;
    const first = reservations.reserve(order.containerId, wish, hostIp);
    const isRouted = order.endpoint.ipv6 !== undefined;
    const hasBoth =
      wish.hostIp === "" &&
      hostIp === "0.0.0.0" &&
      (isRouted ? !order.isRouted6 : wish.port.protocol === "tcp" && isHostDual);
    if (!hasBoth) return [first];
    const { hostPort } = first;
    try {
      const same = { ...wish, hostPorts: { first: hostPort, last: hostPort } };
      return [first, reservations.reserve(order.containerId, same, "::")];
    } catch (error) {
      if (!isRouted) return [first];
      reservations.giveBack(first);
      throw error;
    }
  }

  #giveBack(publication: Publication): void {
    for (const held of publication.held) this.#options.reservations.giveBack(held);
  }
}

const LOOPBACK6 = "::1";

const isRouted = (forward: PortForward): boolean => !isCarried(forward);

/** An address that was asked for by name: nothing else stands in for it. */
const isNamed = ({ ports }: Pick<PublishTarget, "ports">, hostIp: string): boolean =>
  parsePortMap(ports).some((wish) => wish.hostIp === hostIp);

/** Where the process lacks what it needs, a container goes without an address of IPv6 that it did not ask for. */
export const checkCarried = (
  order: Pick<PublishTarget, "ports">,
  { forwards }: Pick<Publication, "forwards">,
  refused: readonly RefusedRelay[],
): void => {
  for (const { hostIp, hostPort, errno } of refused) {
    const isIt = (one: PortForward): boolean => one.hostIp === hostIp && one.hostPort === hostPort;
    if (!forwards.some((one) => isCarried(one) && isIt(one))) continue;
    const isTaken = errno === "EADDRINUSE";
    if (!isTaken && !isNamed(order, hostIp)) continue;
    const why = isTaken
      ? "address already in use by another process of this host"
      : `the network's process cannot listen there (${errno})`;
    throw new NaruError(
      isTaken ? "conflict" : "unavailable",
      `failed to bind host port for [${hostIp}]:${hostPort}/tcp: ${why}`,
      { details: { errno } },
    );
  }
};

const isEmpty = ({ held, opened }: Publication): boolean => held.length + opened.length === 0;

/** Asked for at the host's IPv6 addresses, which stand for nothing in a routed network. */
const isOpenAlone = (isRouted6: boolean, { hostIp }: PublishRequest): boolean =>
  isRouted6 && hostIp.includes(":") && hostIp !== LOOPBACK6;

const openedBy = (order: PublishTarget, wishes: readonly PublishRequest[]): OpenPort[] => {
  const ip = order.endpoint.ipv6?.ip;
  if (!order.isRouted6 || ip === undefined) return [];
  // Who names one address of the host, 127.0.0.1 above all, wants the port there alone.
  const meant = wishes.filter(
    (wish) =>
      isOpenAlone(true, wish) || (wish.hostIp === "" ? order.hostIp : wish.hostIp) === "0.0.0.0",
  );
  const ports = new Map(meant.map(({ port }) => [formatPort(port), port]));
  return [...ports.values()].map((port) => ({ ip, protocol: port.protocol, port: port.number }));
};

/** The container's address in the family of the host's. */
const targetOf = (
  { endpoint }: PublishTarget,
  hostIp: string,
  protocol: PortForward["protocol"],
): string => {
  if (hostIp === LOOPBACK6 && protocol !== "tcp") {
    throw new NaruError(
      "not_implemented",
      'a UDP port of "[::1]" cannot be published: TCP alone is carried there; use 127.0.0.1',
    );
  }
  if (!hostIp.includes(":") || hostIp === LOOPBACK6) return endpoint.ip;
  if (endpoint.ipv6 !== undefined) return endpoint.ipv6.ip;
  if (protocol === "tcp") return endpoint.ip;
  throw new NaruError(
    "invalid_argument",
    `a UDP port of host address "${hostIp}" cannot be published: the container has no IPv6 address in network "${endpoint.networkName}" (create it with --ipv6), and TCP alone is carried to IPv4`,
  );
};

/** Docker's words around the reason; scripts look for them. */
const explain = (order: PublishTarget, thrown: unknown): NaruError => {
  const error = toNaruError(thrown);
  return new NaruError(
    error.code,
    `driver failed programming external connectivity on endpoint ${order.containerName} (${order.endpoint.endpointId}): ${error.message}`,
    { cause: error, details: error.details },
  );
};
