/**
 * The network room's manual. A *network* is a record (driver, subnet, bridge); a *sandbox* is a
 * network namespace with *endpoints*, each a cable into one network; a *published port* leads from the
 * host into a sandbox, to the endpoint that its default route goes through.
 *
 * Life: `start` (networks up, firewall written, nothing torn) → `restore` once with everything that
 * containers still hold → everything else in any number and order → `stop` (unused sandboxes go, used
 * ones and the firewall stay so that containers run on) or `reset` (everything of this instance goes).
 *
 * Networks: `create` answers when the row is on disk and packets flow. `remove` answers when the row is
 * gone; the link follows. A network with endpoints in it cannot be removed; a stopped container has none.
 *
 * Ownership: a sandbox belongs to whoever acquired it, until `release`. Its value is plain JSON: the
 * container's record keeps it and hands it back to `restore` after a restart. Nothing about single
 * sandboxes is written down here. `connect`, `disconnect` and `rename` give a new value that takes the
 * old one's place at once: callers keep one sandbox's calls in order.
 *
 * Many instances share a host: each carries an instance id in the names of its bridge, veths and
 * firewall table, and keeps its namespaces under its own exec root. Nothing else on the host is
 * changed but `net.ipv4.ip_forward`, which is set to 1 and left so.
 *
 * Errors: NaruError; a port conflict is `conflict` with `details.errno` "EADDRINUSE", a full subnet
 * `resource_exhausted`.
 */
import type { HostReach } from "#network/exposure.ts";
import type { HostNames } from "#network/process-protocol.ts";
import type { MacvlanMode } from "#kernel/link-kernel.ts";
import type { Filters } from "#spec/docker/filters.ts";
import type { PortMap } from "#spec/docker/host-config.ts";
import type {
  EndpointSettings,
  IpamConfig,
  NetworkCreateRequest,
  NetworkResponse,
} from "#spec/docker/network.ts";

export type NetworkDriver = "bridge" | "macvlan" | "host" | "null";

/** One row; survives restarts. Addresses are dotted quads. What is absent is off. */
export interface NetworkRecord {
  readonly id: string;
  readonly name: string;
  readonly driver: NetworkDriver;
  /** RFC 3339 */
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  /** Only of drivers "bridge" and "macvlan". */
  readonly bridge?: BridgeRecord;
  /** Of user-defined networks: as asked, with what was chosen filled in. */
  readonly ipam?: IpamRecord;
  readonly isAttachable?: true;
  /** Settings for other networks to take; never up. */
  readonly isConfigOnly?: true;
  /** Name of the network the settings were taken from. */
  readonly configFrom?: string;
}

export interface IpamRecord {
  readonly options: Readonly<Record<string, string>> | null;
  readonly config: readonly IpamConfig[];
}

export interface Vlan {
  /** The interface whose wire carries it. */
  readonly parent: string;
  readonly id: number;
}

export interface BridgeRecord {
  /** Of the bridge; "" where there is none (macvlan). */
  readonly linkName: string;
  /** Endpoints are on the wire of this interface of the host, in place of a bridge. */
  readonly macvlan?: {
    readonly parent: string;
    readonly mode: MacvlanMode;
    /** `parent` is a link that this network makes and removes: "eth0.50". */
    readonly vlan?: Vlan;
  };
  /** "172.17.0.0/16" */
  readonly subnet: string;
  readonly gateway: string;
  readonly mtu: number;
  /** Where addresses come from that nobody named: a part of the subnet. */
  readonly range?: string;
  /** Addresses of the subnet that others have. */
  readonly reserved?: readonly string[];
  /** The user named the subnet: only then may endpoints name their address. */
  readonly isSubnetNamed?: true;
  /** No way out and none in: endpoints reach each other and the gateway's address alone. */
  readonly isInternal?: true;
  /** Endpoints do not reach each other, except by published ports. */
  readonly isIccOff?: true;
  /** What leaves keeps its address. */
  readonly isMasqueradeOff?: true;
  /** IPv6 without NAT: other machines reach published ports under the containers' own addresses. */
  readonly isRouted6?: true;
  /** Where ports of this network go that name no host address. */
  readonly hostIp?: string;
  /** Names of the interfaces inside begin so; "eth" when absent. */
  readonly interfacePrefix?: string;
  /** The second family, where it is wanted. */
  readonly ipv6?: BridgeRecord6;
}

/** As the same fields of `BridgeRecord`, in IPv6. */
export type BridgeRecord6 = Pick<
  BridgeRecord,
  "subnet" | "gateway" | "range" | "reserved" | "isSubnetNamed"
>;

/** "none": its one endpoint is in the network "none". */
export type SandboxMode = "bridge" | "none";

export interface EndpointAddress {
  readonly ip: string;
  readonly prefix: number;
  /** "" in an internal network. */
  readonly gateway: string;
}

/** One cable into one network, and how the namespace is called there. Plain JSON. */
export interface Endpoint {
  /** 64 hex digits each. */
  readonly endpointId: string;
  readonly networkId: string;
  readonly networkName: string;
  /** Name of the host's end of the cable; "" with macvlan and in mode none, where name and addresses are too. */
  readonly linkName: string;
  /** Name inside: "eth0". */
  readonly name: string;
  readonly ip: string;
  readonly prefix: number;
  /** "" in an internal network. */
  readonly gateway: string;
  readonly ipv6?: EndpointAddress;
  readonly mac: string;
  /** The highest has the default route; equals by the network's name. */
  readonly gatewayPriority: number;
  /** What the other endpoints of the network can call it; the first is the container's name. */
  readonly names: readonly string[];
  /** Names that this endpoint's container alone knows, in lower case, and whose they are there. */
  readonly links?: Readonly<Record<string, string>>;
}

/** A network namespace and its endpoints. Plain JSON. */
export interface Sandbox {
  /** 64 hex digits. */
  readonly sandboxId: string;
  readonly mode: SandboxMode;
  /** Leads to the namespace: what the OCI config names. */
  readonly netnsPath: string;
  readonly endpoints: readonly Endpoint[];
  /** Whom its resolver asks instead of the host's name servers. */
  readonly nameservers?: readonly string[];
}

/** What a container's health check says. */
export type EndpointHealth = "starting" | "healthy" | "unhealthy";

/** What is wanted of one endpoint. */
export interface EndpointOrder {
  /** Name or id. */
  readonly network: string;
  readonly ip?: string;
  readonly ip6?: string;
  readonly mac?: string;
  readonly gatewayPriority?: number;
  /** As `Endpoint.names`. */
  readonly names?: readonly string[];
  /** As `Endpoint.links`. */
  readonly links?: Readonly<Record<string, string>>;
  /** Per-endpoint driver options, Docker's labels. */
  readonly options?: Readonly<Record<string, string>>;
}

export interface AcquireRequest {
  readonly containerId: string;
  readonly mode: SandboxMode;
  /** In mode bridge at least one; the interfaces are named in this order. Unused in mode none. */
  readonly endpoints: readonly EndpointOrder[];
  /** As `Sandbox.nameservers`. */
  readonly nameservers?: readonly string[];
  /** Absent: the container has no health check. */
  readonly health?: EndpointHealth;
}

export interface PublishOrder {
  readonly containerId: string;
  /** For error texts. */
  readonly containerName: string;
  readonly sandbox: Sandbox;
  readonly ports: PortMap;
}

/** What a container held when the daemon last lived. `ports` are the realized ones. */
export interface RestoreEntry {
  readonly containerId: string;
  readonly containerName: string;
  readonly sandbox: Sandbox;
  readonly ports: PortMap;
  readonly health?: EndpointHealth;
}

export interface RestoreResult {
  /** Containers whose namespace is gone (the host was rebooted): their sandbox is released already. */
  readonly lost: readonly string[];
  /** Containers whose ports could not be taken again, with the reason. Their sandbox is kept. */
  readonly unpublished: readonly { readonly containerId: string; readonly error: unknown }[];
}

/** Something about the host that hinders containers' traffic. */
export interface Finding {
  readonly subject: string;
  readonly problem: string;
  readonly remedy: string;
}

export interface NetworkInfo {
  readonly instanceId: string;
  readonly bridge: string;
  readonly subnet: string;
  readonly gateway: string;
  readonly table: string;
  readonly pooledSandboxes: number;
  readonly usedSandboxes: number;
  readonly publishedPorts: number;
}

/** An endpoint as network inspect lists it. */
export interface EndpointView {
  readonly containerId: string;
  readonly containerName: string;
  readonly endpoint: Endpoint;
}

export interface NetworkService {
  /** Creates the default networks' rows when missing; brings bridge, firewall and forwarding up. Idempotent. */
  start(): Promise<void>;
  /**
   * Once after `start`: takes over what containers hold, removes every other sandbox of this
   * instance, and replaces all published ports in one step (no connection through a kept one breaks).
   */
  restore(entries: readonly RestoreEntry[]): Promise<RestoreResult>;
  /** A wired sandbox; one made in advance where only the default bridge is wanted. All or nothing. */
  acquire(request: AcquireRequest): Promise<Sandbox>;
  /** Drops the namespace's name; the kernel takes it down when its last process has ended. Idempotent. */
  release(sandbox: Sandbox): void;
  /**
   * One more endpoint for a sandbox in use; the default route follows the priorities. The network "none"
   * stands alone: throws invalid_argument beside it, and for it beside others. Throws permission_denied
   * when the sandbox has an endpoint in that network.
   */
  connect(sandbox: Sandbox, order: EndpointOrder): Promise<Sandbox>;
  /** One endpoint less; the default route goes over to the next. Throws not_found when there is none. */
  disconnect(sandbox: Sandbox, networkId: string): Promise<Sandbox>;
  /** Other names for its endpoints, by network id. */
  rename(sandbox: Sandbox, names: (endpoint: Endpoint) => readonly string[]): Sandbox;
  /** A name that several containers share leads to those that are well, as long as one is. */
  setHealth(sandbox: Sandbox, health: EndpointHealth): void;
  /**
   * All of the ports or none. Resolves with the realized bindings (real host ports, real host
   * addresses) when connections reach the sandbox. Publishing twice for one container replaces.
   */
  publish(order: PublishOrder): Promise<PortMap>;
  /**
   * Names that are answered to the host itself at `listen`; other questions go to the host's servers.
   * Throws when the address cannot be had.
   */
  setHostNames(names: HostNames): Promise<void>;
  /** Whether connections to the published TCP port at this address of IPv6 are carried to the container. */
  isRelayed(containerId: string, hostIp: string, hostPort: number): boolean;
  /**
   * The host's ports are free at once; resolves when no connection is led to the sandbox any more.
   * Never rejects (a refusal is logged). Idempotent.
   */
  unpublish(containerId: string): Promise<void>;
  /** Resolves when everything asked of the firewall so far has been done. */
  settled(): Promise<void>;
  /** Throws already_exists, invalid_argument, permission_denied (an overlap), resource_exhausted. */
  create(request: NetworkCreateRequest): Promise<NetworkRecord>;
  /** Throws permission_denied for predefined networks and for those with endpoints. Gives what was removed. */
  remove(nameOrId: string): Promise<NetworkRecord>;
  /** Removes user-defined networks without endpoints; filters `label`, `label!`, `until`. */
  prune(filters: Filters): Promise<readonly NetworkRecord[]>;
  list(): readonly NetworkRecord[];
  /** By name, id, or unambiguous id prefix. Throws not_found. */
  get(nameOrId: string): NetworkRecord;
  /** Throws invalid_argument in Docker's words for what this network cannot give. */
  checkOrder(order: EndpointOrder): void;
  endpointSettings(endpoint: Endpoint): EndpointSettings;
  describe(record: NetworkRecord, endpoints: readonly EndpointView[]): NetworkResponse;
  /** Gateway of the default network: what `host-gateway` means. */
  hostGateway(): string;
  info(): NetworkInfo;
  diagnose(): Promise<readonly Finding[]>;
  /** What decides who can reach a published port: for `exposureOf`. */
  reach(): Promise<HostReach>;
  stop(): Promise<void>;
  reset(): Promise<void>;
}
