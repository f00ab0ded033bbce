/**
 * What this room needs of the machine, in its own words. The real one stands in `linux-host.ts`; tests
 * of the logic use one that only remembers.
 */
import type { MacvlanMode } from "#kernel/link-kernel.ts";
import type { ApplyRuleset } from "#network/firewall-writer.ts";
import type { Cidr } from "#network/ipv4.ts";
import type { BridgeRecord, Vlan } from "#network/network.ts";
import type { PortKernel } from "#network/port-reservations.ts";

/** One cable from a bridge into a namespace. */
export interface Cable {
  /** Host's end, at most 15 bytes. */
  readonly linkName: string;
  /** The other end's name: "eth0". */
  readonly name: string;
  readonly bridge: string;
  readonly mtu: number;
  readonly address: Cidr;
  /** Of the default route; without one the namespace gets none by this cable. */
  readonly gateway: number | undefined;
  /** "fd00::2/64" and the gateway of its default route, where the network has this family. */
  readonly address6: string | undefined;
  readonly gateway6: string | undefined;
  readonly mac: string;
  /** Frames from other isolated ports of the bridge do not come through. */
  readonly isIsolated: boolean;
}

export interface NetworkHost extends PortKernel {
  /** Every block that this host has an address in or a route to; default routes left out. */
  takenBlocks(): readonly Cidr[];
  /** IPv4 addresses of one link with their prefix: "172.17.0.1/16". None when there is no such link. */
  addressesOf(name: string): readonly string[];
  /** Blocks of the IPv4 addresses of every link but this one. */
  otherAddresses(name: string): readonly Cidr[];
  /** Addresses of this host that others could know it by, of either family. */
  addresses(): readonly string[];
  hasLink(name: string): boolean;
  /** Names of the host's links that begin with `prefix`. */
  linksNamed(prefix: string): readonly string[];
  /** Gone when it resolves, and with them the other ends of cables. A link that is not there is no error. */
  removeLinks(names: readonly string[]): Promise<void>;
  /**
   * A bridge with the gateway's address, up, with a MAC of its own, taking packets for published
   * loopback ports (route_localnet). What is there already stays.
   */
  bringBridgeUp(bridge: BridgeRecord): void;
  /** net.ipv4.ip_forward = 1. */
  enableForwarding(): void;
  isForwarding(): boolean;
  /** net.ipv6.conf.all.forwarding = 1; links that learn their routes from routers go on to. */
  enableForwarding6(): void;
  /** A new namespace with `lo` up at `path`. */
  createNetns(path: string): void;
  /** A new namespace with `lo` and a wired interface, both up. All or nothing. */
  createWiredNetns(path: string, cable: Cable): void;
  /** A cable into a namespace that stands, its end up. All or nothing. */
  plug(netnsPath: string, cable: Cable): void;
  /** As `plug`, on the wire of an interface of the host; the cable's host end and bridge are not looked at. */
  plugMacvlan(netnsPath: string, cable: Cable, parent: string, mode: MacvlanMode): void;
  /** The link of a VLAN, up. What is there already stays. */
  bringVlanUp(name: string, vlan: Vlan): void;
  /** Removes an interface from within; takes about 30 ms. */
  unplug(netnsPath: string, interfaceName: string): void;
  /** In place of whatever default route the namespace has. */
  setDefaultRoute(netnsPath: string, interfaceName: string, gateway: string): void;
  /** Kernel settings inside a namespace, by path below /proc/sys. */
  writeSysctls(netnsPath: string, settings: readonly { path: string; value: string }[]): void;
  /** Idempotent. */
  removeNetns(path: string): void;
  applyRuleset: ApplyRuleset;
  /** The same inside a namespace. */
  applyRulesetIn(netnsPath: string, text: string): Promise<void>;
  /** Runs `work` (synchronous) with this thread in the namespace. */
  inNetns<T>(netnsPath: string, work: () => T): T;
}
