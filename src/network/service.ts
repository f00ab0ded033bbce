/** The network room at work: see `network.ts` for the contract. */
import { mkdirSync } from "node:fs";
import { NaruError, invariant } from "#lib/errors.ts";
import type { PortMap } from "#spec/docker/host-config.ts";
import type {
  EndpointSettings,
  NetworkCreateRequest,
  NetworkResponse,
} from "#spec/docker/network.ts";
import { Beside } from "#network/beside.ts";
import { BridgeNetwork } from "#network/bridge-network.ts";
import { findHindrances, readChains } from "#network/diagnose.ts";
import { checkEndpointOrder } from "#network/endpoint-order.ts";
import { renderRemoval } from "#network/firewall.ts";
import { FirewallWriter } from "#network/firewall-writer.ts";
import type { HostReach } from "#network/exposure.ts";
import type {
  AcquireRequest,
  BridgeRecord,
  Endpoint,
  EndpointHealth,
  EndpointOrder,
  EndpointView,
  Finding,
  NetworkInfo,
  NetworkRecord,
  NetworkService,
  PublishOrder,
  RestoreEntry,
  RestoreResult,
  Sandbox,
} from "#network/network.ts";
import { Relays } from "#network/relays.ts";
import type { HostNames } from "#network/process-protocol.ts";
import { Names, hasNames } from "#network/names.ts";
import { Networks } from "#network/networks.ts";
import { PortReservations, readEphemeralRange } from "#network/port-reservations.ts";
import { selectPrunable, whyNeeded } from "#network/prune.ts";
import { publishTargets } from "#network/publish-target.ts";
import { Publisher } from "#network/publisher.ts";
import { NetworkRecords, isPredefined } from "#network/records.ts";
import {
  type InstanceNames,
  type NetworkServiceOptions,
  namesOf,
} from "#network/service-options.ts";
import { Sandboxes } from "#network/sandboxes.ts";
import { isNetnsAlive, removeNetnsRoot, removeStrayNetns, sweepCables } from "#network/strays.ts";
import { DEFAULT_POOLS } from "#network/subnet.ts";
import { endpointSettings, networkResponse } from "#network/view.ts";
import type { Filters } from "#spec/docker/filters.ts";

const DEFAULT_MTU = 1500;

export class LinuxNetworkService implements NetworkService {
  readonly #options: NetworkServiceOptions;
  readonly #names: InstanceNames;
  readonly #netnsRoot: string;
  readonly #records: NetworkRecords;
  readonly #firewall: FirewallWriter;
  readonly #publisher: Publisher;
  readonly #networks: Networks;
  readonly #sandboxes: Sandboxes;
  readonly #closing = new AbortController();
  readonly #beside: Beside;
  readonly #relays: Relays;
  readonly #named: Names;
  /** Until then a kept namespace may have a cable that nobody knows. */
  #swept: Promise<void> = Promise.resolve();

  constructor(options: NetworkServiceOptions) {
    const { host, logger } = options;
    this.#options = options;
    this.#names = namesOf(options.instanceId);
    this.#netnsRoot = `${options.execRoot}/netns`;
    this.#records = new NetworkRecords(options.rows);
    this.#firewall = new FirewallWriter((text) => host.applyRuleset(text));
    this.#beside = new Beside({ ...options.beside, execRoot: options.execRoot, logger });
    this.#relays = new Relays({ beside: this.#beside, ports: host, logger });
    this.#publisher = new Publisher({
      relays: this.#relays,
      table: this.#names.table,
      firewall: this.#firewall,
      reservations: new PortReservations(host, readEphemeralRange(), (hostPort) =>
        this.#relays.isLeaving(hostPort),
      ),
      onError: (error) =>
        logger.warn("the firewall kept a port that is no longer published", {
          error: String(error),
        }),
    });
    const records = this.#records;
    this.#networks = new Networks({
      host,
      records,
      logger,
      firewall: this.#firewall,
      ...this.#names,
      instanceId: options.instanceId,
      mtu: options.mtu ?? DEFAULT_MTU,
      pools: options.pools ?? DEFAULT_POOLS,
      bip: options.bip,
      openBridge: (record, bridge) => this.#openBridge(record, bridge),
    });
    const networks = this.#networks;
    this.#sandboxes = new Sandboxes({ host, records, networks, netnsRoot: this.#netnsRoot });
    this.#named = new Names({
      host,
      beside: this.#beside,
      hostAddress: () => this.hostGateway(),
      logger,
    });
  }

  async start(): Promise<void> {
    mkdirSync(this.#netnsRoot, { recursive: true, mode: 0o711 });
    await this.#networks.start();
    this.#options.host.enableForwarding();
  }

  async restore(entries: readonly RestoreEntry[]): Promise<RestoreResult> {
    const { host, logger } = this.#options;
    const network = this.#networks.defaultNetwork;
    const cables = host.linksNamed(this.#names.cablePrefix);
    const kept = entries.filter((entry) => isNetnsAlive(this.#netnsRoot, entry.sandbox.netnsPath));
    for (const { containerId, sandbox } of kept) this.#sandboxes.adopt(containerId, sandbox);
    removeStrayNetns(host, this.#netnsRoot, new Set(kept.map((entry) => entry.sandbox.netnsPath)));
    const owned = kept.flatMap(({ sandbox }) => sandbox.endpoints.map((one) => one.linkName));
    const strays = cables.filter((name) => !owned.includes(name));
    this.#swept = sweepCables(host, logger, strays, this.#closing.signal);
    const unpublished = await this.#publisher.replaceAll(
      kept.flatMap((entry) => this.#targetsOf(entry)),
      this.#networks.families,
    );
    await this.#named.setAgain(kept);
    network.openPool();
    const lost = entries.filter((entry) => !kept.includes(entry)).map((entry) => entry.containerId);
    return { lost, unpublished };
  }

  async acquire(request: AcquireRequest): Promise<Sandbox> {
    for (const order of request.endpoints) await this.#rested(order);
    const sandbox = this.#sandboxes.acquire(request);
    if (!hasNames(sandbox)) return sandbox;
    try {
      await this.#named.set(sandbox, request.health);
    } catch (error) {
      this.release(sandbox);
      throw error;
    }
    return sandbox;
  }

  release(sandbox: Sandbox): void {
    this.#named.delete(sandbox);
    this.#sandboxes.release(sandbox);
  }

  async connect(sandbox: Sandbox, order: EndpointOrder): Promise<Sandbox> {
    await this.#swept;
    await this.#rested(order);
    const connected = this.#sandboxes.connect(sandbox, order);
    try {
      await this.#named.set(connected);
    } catch (error) {
      const { id } = this.#records.get(order.network);
      await this.#sandboxes.disconnect(connected, id);
      throw error;
    }
    return connected;
  }

  async disconnect(sandbox: Sandbox, networkId: string): Promise<Sandbox> {
    const remaining = await this.#sandboxes.disconnect(sandbox, networkId);
    await this.#named.set(remaining);
    return remaining;
  }

  rename(sandbox: Sandbox, names: (endpoint: Endpoint) => readonly string[]): Sandbox {
    const renamed = this.#sandboxes.rename(sandbox, names);
    this.#named.rename(renamed);
    return renamed;
  }

  setHealth(sandbox: Sandbox, health: EndpointHealth): void {
    this.#named.setHealth(sandbox, health);
  }

  async publish(order: PublishOrder): Promise<PortMap> {
    const [target] = this.#targetsOf(order);
    // A container without a way out publishes nothing: Docker takes such a wish in silence.
    if (target !== undefined) return await this.#publisher.publish(target);
    await this.unpublish(order.containerId);
    return {};
  }

  async setHostNames(names: HostNames): Promise<void> {
    await this.#named.setHostNames(names);
  }

  isRelayed(containerId: string, hostIp: string, hostPort: number): boolean {
    return this.#relays.isRelayed(containerId, hostIp, hostPort);
  }

  async unpublish(containerId: string): Promise<void> {
    await this.#publisher.unpublish(containerId);
  }

  async settled(): Promise<void> {
    await this.#networks.settled();
    await this.#firewall.idle();
  }

  async create(request: NetworkCreateRequest): Promise<NetworkRecord> {
    const record = await this.#networks.create(request);
    // Containers on it will have names: their first start need not wait for the process.
    if (record.bridge !== undefined) void this.#beside.warm();
    this.#tell("create", record);
    return record;
  }

  async remove(nameOrId: string): Promise<NetworkRecord> {
    const record = this.#records.get(nameOrId);
    if (isPredefined(record)) {
      throw new NaruError(
        "permission_denied",
        `${record.name} is a pre-defined network and cannot be removed`,
      );
    }
    const reason = this.#whyNeeded(record);
    if (reason !== undefined) {
      throw new NaruError("permission_denied", `error while removing network: ${reason}`);
    }
    await this.#networks.remove(record);
    this.#tell("destroy", record);
    return record;
  }

  async prune(filters: Filters): Promise<readonly NetworkRecord[]> {
    const removed: NetworkRecord[] = [];
    for (const record of selectPrunable(this.#records.list(), filters)) {
      // Looked at again for each: a container may have come meanwhile.
      if (this.#whyNeeded(record) !== undefined) continue;
      // oxlint-disable-next-line no-await-in-loop -- one after the other keeps other requests quick
      await this.#networks.remove(record);
      this.#tell("destroy", record);
      removed.push(record);
    }
    const Actor = { ID: "", Attributes: { reclaimed: "0" } };
    this.#options.publish?.({ Type: "network", Action: "prune", Actor });
    return removed;
  }

  list(): readonly NetworkRecord[] {
    return this.#records.list();
  }

  get(nameOrId: string): NetworkRecord {
    return this.#records.get(nameOrId);
  }

  checkOrder(order: EndpointOrder): void {
    checkEndpointOrder(this.#records.get(order.network), order);
  }

  endpointSettings(endpoint: Endpoint): EndpointSettings {
    return endpointSettings(endpoint);
  }

  describe(record: NetworkRecord, endpoints: readonly EndpointView[]): NetworkResponse {
    return networkResponse(record, endpoints);
  }

  hostGateway(): string {
    return this.#requireBridge().gateway;
  }

  info(): NetworkInfo {
    const bridge = this.#requireBridge();
    return {
      instanceId: this.#options.instanceId,
      bridge: bridge.linkName,
      subnet: bridge.subnet,
      gateway: bridge.gateway,
      table: this.#names.table,
      pooledSandboxes: this.#networks.defaultNetwork.pooledCount,
      usedSandboxes: this.#sandboxes.count,
      publishedPorts: this.#publisher.portCount,
    };
  }

  async diagnose(): Promise<readonly Finding[]> {
    const { host } = this.#options;
    const { linkName } = this.#requireBridge();
    const read = this.#options.readChains ?? readChains;
    return findHindrances({
      linkName,
      table: this.#names.table,
      hasBridge: host.hasLink(linkName),
      isForwarding: host.isForwarding(),
      chains: await read(),
    });
  }

  async reach(): Promise<HostReach> {
    const read = this.#options.readChains ?? readChains;
    const own = this.#records
      .list()
      .flatMap(({ bridge }) => [bridge?.gateway ?? "", bridge?.ipv6?.gateway ?? ""]);
    const addresses = this.#options.host.addresses().filter((address) => !own.includes(address));
    return { addresses, chains: await read(), table: this.#names.table };
  }

  async stop(): Promise<void> {
    this.#closing.abort();
    this.#networks.closePool();
    this.#beside.close();
    await this.settled();
    this.#publisher.close();
  }

  /** Also without `start`. Processes that still live in a sandbox are cut off from the network. */
  async reset(): Promise<void> {
    const { host } = this.#options;
    await this.stop();
    await this.#beside.end();
    removeStrayNetns(host, this.#netnsRoot, new Set());
    this.#sandboxes.clear();
    await this.#firewall.write(renderRemoval(this.#names.table));
    const { cablePrefix, bridgePrefix } = this.#names;
    const named = this.#records.list().flatMap(({ bridge }) => {
      const vlan = bridge?.macvlan?.vlan === undefined ? "" : bridge.macvlan.parent;
      return bridge?.linkName || vlan || [];
    });
    const links = [cablePrefix, bridgePrefix].flatMap((prefix) => host.linksNamed(prefix));
    await host.removeLinks([...new Set([...links, ...named.filter((name) => host.hasLink(name))])]);
    removeNetnsRoot(this.#netnsRoot);
  }

  #openBridge(record: NetworkRecord, bridge: BridgeRecord): BridgeNetwork {
    const { host, logger, poolMin, poolMax } = this.#options;
    return new BridgeNetwork({
      host,
      record,
      bridge,
      netnsRoot: this.#netnsRoot,
      linkPrefix: this.#names.cablePrefix,
      onError: (error) =>
        logger.warn("no sandbox could be made in advance", { error: String(error) }),
      ...(poolMin === undefined ? {} : { poolMin }),
      ...(poolMax === undefined ? {} : { poolMax }),
    });
  }

  #tell(Action: string, { id, name, driver }: NetworkRecord): void {
    const Actor = { ID: id, Attributes: { name, type: driver } };
    this.#options.publish?.({ Type: "network", Action, Actor });
  }

  /** Whoever starts again with an address of its own, or takes the last one, waits for its cable to go. */
  async #rested(order: EndpointOrder): Promise<void> {
    const record = this.#records.get(order.network);
    if (record.bridge !== undefined) await this.#networks.bridgeOf(record).rested(order);
  }

  #targetsOf(order: PublishOrder) {
    return publishTargets(order, (id) => this.#records.find(id)?.bridge, this.#options);
  }

  #requireBridge(): BridgeRecord {
    const bridge = this.#records.byName("bridge")?.bridge;
    invariant(bridge !== undefined, "the network room was used before its start");
    return bridge;
  }

  #whyNeeded(record: NetworkRecord): string | undefined {
    return whyNeeded(record, this.#records.list(), this.#sandboxes.endpointsIn(record.id));
  }
}

export const createNetworkService = (options: NetworkServiceOptions): NetworkService =>
  new LinuxNetworkService(options);
