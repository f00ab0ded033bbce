/**
 * The network room's manual. A *network* is a record (driver, subnet, bridge); a *sandbox* is a wired
 * network namespace with one endpoint in it; a *published port* leads from the host into a sandbox.
 *
 * Life: `start` (network up, firewall written, nothing torn) → `restore` once with everything that
 * containers still hold → `acquire`/`release`, `publish`/`unpublish` in any number and order → `stop`
 * (unused sandboxes go, used ones and the firewall stay so that containers run on) or `reset`
 * (everything of this instance goes).
 *
 * Ownership: a sandbox belongs to whoever acquired it, until `release`. Its value is plain JSON: the
 * container's record keeps it and hands it back to `restore` after a restart. Nothing about single
 * sandboxes is written down here.
 *
 * Many instances share a host: each carries an instance id in the names of its bridge, veths and
 * firewall table, and keeps its namespaces under its own exec root. Nothing else on the host is
 * changed but `net.ipv4.ip_forward`, which is set to 1 and left so.
 *
 * Errors: NaruError; a port conflict is `conflict` with `details.errno` "EADDRINUSE", a full subnet
 * `resource_exhausted`.
 */
import type { PortMap } from "#spec/docker/host-config.ts";
import type { EndpointSettings, NetworkResponse } from "#spec/docker/network.ts";

export type NetworkDriver = "bridge" | "host" | "null";

/** One row; survives restarts. Addresses are dotted quads. */
export interface NetworkRecord {
  readonly id: string;
  readonly name: string;
  readonly driver: NetworkDriver;
  /** RFC 3339 */
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  /** Only of driver "bridge". */
  readonly bridge?: BridgeRecord;
}

export interface BridgeRecord {
  readonly linkName: string;
  /** "172.17.0.0/16" */
  readonly subnet: string;
  readonly gateway: string;
  readonly mtu: number;
}

export type SandboxMode = "bridge" | "none";

/** A network namespace and its one endpoint. Plain JSON. */
export interface Sandbox {
  /** 64 hex digits each. */
  readonly sandboxId: string;
  readonly endpointId: string;
  readonly networkId: string;
  readonly mode: SandboxMode;
  /** Leads to the namespace: what the OCI config names. */
  readonly netnsPath: string;
  /** Name of the host's end of the cable; "" in mode none, as are the addresses. */
  readonly linkName: string;
  readonly ip: string;
  readonly prefix: number;
  readonly gateway: string;
  readonly mac: string;
}

export interface AcquireRequest {
  readonly containerId: string;
  readonly mode: SandboxMode;
  /** "02:42:…"; a named MAC or address is wired to order, not taken from the pool. */
  readonly mac?: string;
  readonly ip?: string;
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
  readonly sandbox: Sandbox;
}

export interface NetworkService {
  /** Creates the default networks' rows when missing; brings bridge, firewall and forwarding up. Idempotent. */
  start(): Promise<void>;
  /**
   * Once after `start`: takes over what containers hold, removes every other sandbox of this
   * instance, and replaces all published ports in one step (no connection through a kept one breaks).
   */
  restore(entries: readonly RestoreEntry[]): Promise<RestoreResult>;
  /** A wired sandbox; usually one made in advance. */
  acquire(request: AcquireRequest): Promise<Sandbox>;
  /** Drops the namespace's name; the kernel takes it down when its last process has ended. Idempotent. */
  release(sandbox: Sandbox): void;
  /**
   * All of the ports or none. Resolves with the realized bindings (real host ports, real host
   * addresses) when connections reach the sandbox. Publishing twice for one container replaces.
   */
  publish(order: PublishOrder): Promise<PortMap>;
  /**
   * The host's ports are free at once; resolves when no connection is led to the sandbox any more.
   * Never rejects (a refusal is logged). Idempotent.
   */
  unpublish(containerId: string): Promise<void>;
  /** Resolves when everything asked of the firewall so far has been done. */
  settled(): Promise<void>;
  list(): readonly NetworkRecord[];
  /** By name, id, or unambiguous id prefix. Throws not_found. */
  get(nameOrId: string): NetworkRecord;
  endpointSettings(sandbox: Sandbox): EndpointSettings;
  describe(record: NetworkRecord, endpoints: readonly EndpointView[]): NetworkResponse;
  /** Gateway of the default network: what `host-gateway` means. */
  hostGateway(): string;
  info(): NetworkInfo;
  diagnose(): Promise<readonly Finding[]>;
  stop(): Promise<void>;
  reset(): Promise<void>;
}
