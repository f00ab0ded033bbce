/** One bridge and what hangs on it: its addresses, its cables, and sandboxes made in advance. */
import { monotonicMs, randomHex, sleep } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { AddressPool } from "#network/address-pool.ts";
import { checkAddress, macOrder } from "#network/endpoint-order.ts";
import type { NetworkHost } from "#network/host.ts";
import { contains, formatIpv4, macOf, parseCidr, parseIpv4, requireIpv4 } from "#network/ipv4.ts";
import { AddressPool6, formatIpv6, parseCidr6, parseIpv6, requireIpv6 } from "#network/ipv6.ts";
import type {
  BridgeRecord,
  EndpointAddress,
  Endpoint,
  EndpointOrder,
  NetworkRecord,
  Sandbox,
} from "#network/network.ts";
import { SandboxPool } from "#network/sandbox-pool.ts";

export interface BridgeNetworkOptions {
  readonly host: NetworkHost;
  readonly record: NetworkRecord;
  readonly bridge: BridgeRecord;
  /** Directory of the links to namespaces. */
  readonly netnsRoot: string;
  /** Begins the names of the cables' host ends; at most 9 bytes. */
  readonly linkPrefix: string;
  readonly onError: (error: unknown) => void;
  readonly poolMin?: number;
  readonly poolMax?: number;
}

export interface SandboxPlace {
  readonly sandboxId: string;
  readonly netnsPath: string;
}

/** Short, as the path turns up in the OCI config and in errors. */
export const newSandboxPlace = (netnsRoot: string): SandboxPlace => {
  const sandboxId = randomHex(32);
  return { sandboxId, netnsPath: `${netnsRoot}/${sandboxId.slice(0, 12)}` };
};

const MAX_NAME_BYTES = 15;
const MACVLAN_REST_MS = 500;
const RESTING_STEP_MS = 5;
const RESTING_MAX_MS = 5000;

export class BridgeNetwork {
  readonly bridge: BridgeRecord;
  readonly #options: BridgeNetworkOptions;
  readonly #addresses: AddressPool;
  readonly #addresses6: AddressPool6 | undefined;
  readonly #pool: SandboxPool<Sandbox>;

  constructor(options: BridgeNetworkOptions) {
    this.#options = options;
    this.bridge = options.bridge;
    const { subnet, gateway, range, reserved = [] } = options.bridge;
    const block = parseCidr(subnet);
    this.#addresses = new AddressPool(block, range === undefined ? block : parseCidr(range));
    for (const address of new Set([gateway, ...reserved])) {
      this.#addresses.claim(requireIpv4(address));
    }
    const { ipv6 } = options.bridge;
    if (ipv6 !== undefined) {
      const block6 = parseCidr6(ipv6.subnet);
      const range6 = ipv6.range === undefined ? block6 : parseCidr6(ipv6.range);
      this.#addresses6 = new AddressPool6(block6, range6);
      for (const one of new Set([ipv6.gateway, ...(ipv6.reserved ?? [])])) {
        this.#addresses6.claim(requireIpv6(one));
      }
    }
    this.#pool = new SandboxPool<Sandbox>({
      make: () => this.#makeSandbox(),
      discard: (sandbox) => this.#discard(sandbox),
      onError: options.onError,
      ...(options.poolMin === undefined ? {} : { min: options.poolMin }),
      ...(options.poolMax === undefined ? {} : { max: options.poolMax }),
    });
  }

  get pooledCount(): number {
    return this.#pool.size;
  }

  openPool(): void {
    this.#pool.open();
  }

  closePool(): void {
    this.#pool.close();
  }

  /** A wired sandbox with one endpoint and no wishes. */
  takeSandbox(): Sandbox {
    return this.#pool.take();
  }

  /** An endpoint with an address of its own, not wired yet: `wire` it or `release` it. */
  plan(order: Omit<EndpointOrder, "network">, name: string): Endpoint {
    const { record, linkPrefix } = this.#options;
    const mac = order.mac === undefined ? undefined : macOrder(order.mac);
    if (order.ip !== undefined) checkAddress(record, order.ip);
    const address =
      order.ip === undefined
        ? this.#addresses.allocate()
        : this.#addresses.claim(requireIpv4(order.ip));
    let ipv6: EndpointAddress | undefined;
    try {
      ipv6 = this.#address6(order.ip6);
    } catch (error) {
      this.#addresses.release(address);
      throw error;
    }
    const endpointId = randomHex(32);
    return {
      endpointId,
      networkId: record.id,
      networkName: record.name,
      linkName:
        this.bridge.macvlan === undefined
          ? `${linkPrefix}${endpointId.slice(0, MAX_NAME_BYTES - linkPrefix.length)}`
          : "",
      name,
      ip: formatIpv4(address),
      prefix: parseCidr(this.bridge.subnet).prefix,
      gateway: this.bridge.isInternal === true ? "" : this.bridge.gateway,
      mac: mac ?? macOf(address),
      ...(ipv6 === undefined ? {} : { ipv6 }),
      gatewayPriority: order.gatewayPriority ?? 0,
      names: order.names ?? [],
      ...(order.links === undefined ? {} : { links: order.links }),
    };
  }

  /** The cable of a planned endpoint into a namespace that stands. Nothing is left on a throw. */
  wire(netnsPath: string, endpoint: Endpoint, isGateway: boolean): void {
    const { host } = this.#options;
    const { macvlan } = this.bridge;
    const cable = this.#cableOf(endpoint, isGateway);
    if (macvlan === undefined) host.plug(netnsPath, cable);
    else host.plugMacvlan(netnsPath, cable, macvlan.parent, macvlan.mode);
  }

  /** Takes the address of an endpoint that outlived the daemon. */
  adopt(endpoint: Endpoint): void {
    this.#addresses.claim(requireIpv4(endpoint.ip));
    if (endpoint.ipv6 !== undefined) this.#addresses6?.claim(requireIpv6(endpoint.ipv6.ip));
  }

  /** Waits until the named addresses, or the only ones left, rest no more; one that rests too long is refused by `plan`. */
  async rested(order: Pick<EndpointOrder, "ip" | "ip6">): Promise<void> {
    for (let waitedMs = 0; waitedMs < RESTING_MAX_MS; waitedMs += RESTING_STEP_MS) {
      if (!this.#isResting(order)) return;
      // oxlint-disable-next-line no-await-in-loop -- the kernel tells nobody when a namespace has gone
      await sleep(RESTING_STEP_MS);
    }
  }

  /** Gives the address back. It rests until the cable has gone, with its namespace or by itself. */
  release(endpoint: Endpoint): void {
    const { host } = this.#options;
    const releasedMs = monotonicMs();
    // An interface without an end on the host cannot be looked for: it gets the time it needs.
    const isGone = (): boolean =>
      endpoint.linkName === ""
        ? monotonicMs() - releasedMs > MACVLAN_REST_MS
        : !host.hasLink(endpoint.linkName);
    if (endpoint.ipv6 !== undefined) {
      this.#addresses6?.release(requireIpv6(endpoint.ipv6.ip), isGone);
    }
    const address = requireIpv4(endpoint.ip);
    if (!contains(parseCidr(this.bridge.subnet), address)) return;
    this.#addresses.release(address, isGone);
  }

  /** An address that its last holder's cable still has, named or the last one: in a moment it can be had. */
  #isResting({ ip, ip6 }: Pick<EndpointOrder, "ip" | "ip6">): boolean {
    if (ip === undefined && this.#addresses.isWaitingForRest()) return true;
    const [address, address6] = [parseIpv4(ip ?? ""), parseIpv6(ip6 ?? "")];
    return (
      (address !== undefined && this.#addresses.isResting(address)) ||
      (address6 !== undefined && this.#addresses6?.isResting(address6) === true)
    );
  }

  #address6(wanted: string | undefined): EndpointAddress | undefined {
    const { ipv6, isInternal } = this.bridge;
    const pool = this.#addresses6;
    if (ipv6 === undefined || pool === undefined) return undefined;
    const address = wanted === undefined ? pool.allocate() : pool.claim(requireIpv6(wanted));
    return {
      ip: formatIpv6(address),
      prefix: parseCidr6(ipv6.subnet).prefix,
      gateway: isInternal === true ? "" : ipv6.gateway,
    };
  }

  #cableOf(endpoint: Endpoint, isGateway: boolean) {
    const { bridge } = this;
    return {
      linkName: endpoint.linkName,
      name: endpoint.name,
      bridge: bridge.linkName,
      mtu: bridge.mtu,
      address: { address: requireIpv4(endpoint.ip), prefix: endpoint.prefix },
      gateway: isGateway && endpoint.gateway !== "" ? requireIpv4(endpoint.gateway) : undefined,
      address6:
        endpoint.ipv6 === undefined ? undefined : `${endpoint.ipv6.ip}/${endpoint.ipv6.prefix}`,
      gateway6: isGateway ? endpoint.ipv6?.gateway || undefined : undefined,
      mac: endpoint.mac,
      isIsolated: bridge.isIccOff === true,
    };
  }

  #makeSandbox(): Sandbox {
    const { host, netnsRoot } = this.#options;
    const place = newSandboxPlace(netnsRoot);
    const endpoint = this.plan({}, "eth0");
    try {
      host.createWiredNetns(place.netnsPath, this.#cableOf(endpoint, true));
    } catch (error) {
      this.release(endpoint);
      throw error;
    }
    return { ...place, mode: "bridge", endpoints: [endpoint] };
  }

  #discard(sandbox: Sandbox): void {
    this.#options.host.removeNetns(sandbox.netnsPath);
    for (const endpoint of sandbox.endpoints) this.release(endpoint);
  }
}

/** Docker's words for a network that is there only to be copied from. */
export const requireBridge = (record: NetworkRecord): BridgeRecord => {
  if (record.bridge !== undefined) return record.bridge;
  throw new NaruError(
    "permission_denied",
    record.isConfigOnly === true
      ? `cannot connect to network "${record.name}": it holds settings only`
      : `cannot connect to network "${record.name}": it has no bridge`,
  );
};
