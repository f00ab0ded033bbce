/**
 * Network interfaces, addresses and routes: what the network room is handed. Real: `link.ts`.
 *
 * All calls but the deletions are synchronous and take well under a millisecond, as long as nobody
 * else holds the kernel's one network lock (a deletion does, for tens of milliseconds). Errors are
 * NaruErrors with the kernel's own sentence where it gives one; `details.errno` holds the name.
 * Names have at most 15 bytes.
 */
export interface BridgeOptions {
  /** Own addresses with the length of their network: `["10.88.0.1/16"]`, either family. */
  readonly addresses: readonly string[];
  readonly mtu?: number;
  /** Without one the bridge takes the lowest address among its ports and changes with them. */
  readonly mac?: string;
}

export interface VethOptions {
  readonly hostName: string;
  /** The bridge to join; without one the end stands alone. */
  readonly bridge?: string;
  /**
   * Lets a frame leave by the port it came in on. Where br_netfilter is loaded, address translation
   * happens while a packet is still bridged: a container that calls its own published port needs this.
   */
  readonly isHairpin?: boolean;
  /** Isolated ports of a bridge exchange no frames with each other; the bridge itself reaches them all. */
  readonly isIsolated?: boolean;
  /** The name inside, such as `eth0`. */
  readonly peerName: string;
  readonly netnsPath: string;
  readonly peerMac?: string;
  readonly mtu?: number;
}

export type MacvlanMode = "private" | "vepa" | "bridge" | "passthru";

export interface MacvlanOptions {
  /** The host's interface whose wire it shares. */
  readonly parent: string;
  readonly name: string;
  readonly netnsPath: string;
  readonly mac: string;
  readonly mode: MacvlanMode;
  /** The parent's when left out. */
  readonly mtu?: number;
}

export interface EndpointOptions {
  readonly netnsPath: string;
  /** The name inside. */
  readonly name: string;
  readonly addresses: readonly string[];
  /** Gateways of default routes, at most one of each family. */
  readonly gateways: readonly string[];
  /** More routes over this interface. */
  readonly routes?: readonly { readonly destination: string; readonly gateway?: string }[];
}

export interface LinkCounters {
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

export interface LinkInfo {
  readonly index: number;
  readonly name: string;
  /** `bridge`, `veth`, …; undefined for hardware and `lo`. */
  readonly kind: string | undefined;
  readonly mac: string;
  readonly mtu: number;
  readonly isUp: boolean;
  /** Index of the bridge it is a port of. */
  readonly masterIndex: number | undefined;
  readonly counters: LinkCounters;
}

export interface LinkKernel {
  /** Makes it, raises it and gives it its addresses; on failure nothing is left. */
  createBridge(name: string, options: BridgeOptions): void;
  /** One message for both ends. Removing either end, or the namespace, removes both. */
  createVeth(options: VethOptions): void;
  /** An interface with a MAC of its own on the parent's wire, born inside the namespace. */
  createMacvlan(options: MacvlanOptions): void;
  /** Tagged frames (802.1Q, 1 to 4094) on the parent's wire as an interface of their own, up. */
  createVlan(name: string, parent: string, id: number): void;
  /** Addresses, up and routes for an interface inside a namespace. Not undone on failure. */
  configureEndpoint(options: EndpointOptions): void;
  /** The default route of the gateway's family, in place of the one there is. */
  replaceDefaultRoute(netnsPath: string, name: string, gateway: string): void;
  /**
   * Deletes one interface; that it does not exist is fine. Holds this thread for about 30 ms, the time
   * the kernel takes. Ends of containers need none of it: they go with their namespace.
   */
  deleteLink(name: string): void;
  /** The same for many, by a child process, so that this thread goes on. */
  deleteLinks(names: readonly string[], signal?: AbortSignal): Promise<void>;
  linkExists(name: string): boolean;
  linkIndex(name: string): number | undefined;
  /** Of this namespace, or of the one at `netnsPath`. */
  listLinks(netnsPath?: string): LinkInfo[];
  /** `["10.88.0.1/16", …]` of all interfaces here, or of one. */
  hostAddresses(name?: string): string[];
  /** Destinations of every routing table but the local one, default routes left out: what a new subnet must not overlap. */
  hostRoutes(): string[];
}
