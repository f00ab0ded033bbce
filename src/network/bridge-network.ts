/** One bridge and what hangs on it: its addresses, its sandboxes, its pool. */
import { randomHex } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { AddressPool } from "#network/address-pool.ts";
import type { NetworkHost } from "#network/host.ts";
import { contains, formatIpv4, macOf, parseCidr, requireIpv4 } from "#network/ipv4.ts";
import type { AcquireRequest, BridgeRecord, Sandbox } from "#network/network.ts";
import { SandboxPool } from "#network/sandbox-pool.ts";

export interface BridgeNetworkOptions {
  readonly host: NetworkHost;
  readonly networkId: string;
  readonly bridge: BridgeRecord;
  /** Directory of the namespace files. */
  readonly netnsRoot: string;
  /** Begins the names of the cables' host ends; at most 9 bytes. */
  readonly linkPrefix: string;
  readonly onError: (error: unknown) => void;
  readonly poolMin?: number;
  readonly poolMax?: number;
}

/** Locally administered, unicast: what a network card of its own would not have. */
const requireMac = (mac: string): string => {
  const lower = mac.toLowerCase().replaceAll("-", ":");
  const first = Number.parseInt(lower.slice(0, 2), 16);
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(lower) || (first & 1) === 1) {
    throw new NaruError(
      "invalid_argument",
      `invalid MAC address "${mac}": six bytes of a unicast address are needed`,
    );
  }
  return lower;
};

export const newSandboxIds = (): { readonly sandboxId: string; readonly endpointId: string } => ({
  sandboxId: randomHex(32),
  endpointId: randomHex(32),
});

/** Short, as the path turns up in the OCI config and in errors. */
export const netnsPathOf = (netnsRoot: string, sandboxId: string): string =>
  `${netnsRoot}/${sandboxId.slice(0, 12)}`;

export class BridgeNetwork {
  readonly #options: BridgeNetworkOptions;
  readonly #addresses: AddressPool;
  readonly #pool: SandboxPool<Sandbox>;

  constructor(options: BridgeNetworkOptions) {
    this.#options = options;
    const { subnet, gateway } = options.bridge;
    this.#addresses = new AddressPool(parseCidr(subnet));
    this.#addresses.claim(requireIpv4(gateway));
    this.#pool = new SandboxPool<Sandbox>({
      make: () => this.#wire({}),
      discard: (sandbox) => this.release(sandbox),
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

  acquire(request: Pick<AcquireRequest, "ip" | "mac">): Sandbox {
    const isToOrder = request.ip !== undefined || request.mac !== undefined;
    return isToOrder ? this.#wire(request) : this.#pool.take();
  }

  /** Takes the address of a sandbox that outlived the daemon. */
  adopt(sandbox: Sandbox): void {
    this.#addresses.claim(requireIpv4(sandbox.ip));
  }

  /** The address rests until the cable has gone with its namespace. */
  release(sandbox: Sandbox): void {
    const { host } = this.#options;
    host.removeNetns(sandbox.netnsPath);
    const address = requireIpv4(sandbox.ip);
    if (!contains(parseCidr(this.#options.bridge.subnet), address)) return;
    this.#addresses.release(address, () => !host.hasLink(sandbox.linkName));
  }

  #wire(request: Pick<AcquireRequest, "ip" | "mac">): Sandbox {
    const { host, bridge, networkId, netnsRoot, linkPrefix } = this.#options;
    const mac = request.mac === undefined ? undefined : requireMac(request.mac);
    const address =
      request.ip === undefined
        ? this.#addresses.allocate()
        : this.#addresses.claim(requireIpv4(request.ip));
    const ids = newSandboxIds();
    const sandbox: Sandbox = {
      ...ids,
      networkId,
      mode: "bridge",
      netnsPath: netnsPathOf(netnsRoot, ids.sandboxId),
      linkName: `${linkPrefix}${ids.sandboxId.slice(0, 15 - linkPrefix.length)}`,
      ip: formatIpv4(address),
      prefix: parseCidr(bridge.subnet).prefix,
      gateway: bridge.gateway,
      mac: mac ?? macOf(address),
    };
    try {
      host.createWiredNetns({
        netnsPath: sandbox.netnsPath,
        linkName: sandbox.linkName,
        bridge: bridge.linkName,
        mtu: bridge.mtu,
        address: { address, prefix: sandbox.prefix },
        gateway: requireIpv4(bridge.gateway),
        mac: sandbox.mac,
      });
    } catch (error) {
      this.#addresses.release(address);
      throw error;
    }
    return sandbox;
  }
}
