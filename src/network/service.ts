/** The network room at work: see `network.ts` for the contract. */
import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { NaruError, invariant } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";
import type { PortMap } from "#spec/docker/host-config.ts";
import type { EndpointSettings, NetworkResponse } from "#spec/docker/network.ts";
import type { NetworkRows } from "#metadata/networks.ts";
import { BridgeNetwork, netnsPathOf, newSandboxIds } from "#network/bridge-network.ts";
import { bringDefaultBridgeUp } from "#network/bring-up.ts";
import { type ReadChains, findHindrances, readChains } from "#network/diagnose.ts";
import { renderRemoval, renderTable } from "#network/firewall.ts";
import { FirewallWriter } from "#network/firewall-writer.ts";
import type { NetworkHost } from "#network/host.ts";
import type {
  AcquireRequest,
  BridgeRecord,
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
import { PortReservations, readEphemeralRange } from "#network/port-reservations.ts";
import { Publisher } from "#network/publisher.ts";
import { NetworkRecords } from "#network/records.ts";
import { endpointSettings, networkResponse } from "#network/view.ts";

export interface NetworkServiceOptions {
  /** 6 to 8 hex digits: tells this daemon's links and tables from others'. */
  readonly instanceId: string;
  readonly execRoot: string;
  readonly host: NetworkHost;
  readonly rows: NetworkRows;
  readonly logger: Logger;
  /** dockerd's `--bip`. */
  readonly bip?: string;
  /** dockerd's `--mtu`. */
  readonly mtu?: number;
  /** dockerd's `--ip`: where ports go that name no host address. */
  readonly defaultHostIp?: string;
  readonly poolMin?: number;
  readonly poolMax?: number;
  /** For tests: how foreign firewall chains are learned. */
  readonly readChains?: ReadChains;
}

interface InstanceNames {
  readonly bridgePrefix: string;
  readonly defaultBridge: string;
  readonly cablePrefix: string;
  readonly table: string;
}

/** Names on the host that belong to an instance. Links have at most 15 bytes. */
const namesOf = (instanceId: string): InstanceNames => {
  if (!/^[0-9a-f]{6,8}$/.test(instanceId)) {
    throw new NaruError("invalid_argument", `instance id "${instanceId}" is not 6 to 8 hex digits`);
  }
  return {
    bridgePrefix: `nr${instanceId}`,
    defaultBridge: `nr${instanceId}0`,
    cablePrefix: `v${instanceId}`,
    table: `naru_${instanceId}`,
  };
};

const DEFAULT_MTU = 1500;

export class LinuxNetworkService implements NetworkService {
  readonly #options: NetworkServiceOptions;
  readonly #names: InstanceNames;
  readonly #netnsRoot: string;
  readonly #records: NetworkRecords;
  readonly #firewall: FirewallWriter;
  readonly #publisher: Publisher;
  readonly #used = new Map<string, Sandbox>();
  #network: BridgeNetwork | undefined;

  constructor(options: NetworkServiceOptions) {
    const { host, logger } = options;
    this.#options = options;
    this.#names = namesOf(options.instanceId);
    this.#netnsRoot = `${options.execRoot}/netns`;
    this.#records = new NetworkRecords(options.rows);
    this.#firewall = new FirewallWriter((text) => host.applyRuleset(text));
    this.#publisher = new Publisher({
      table: this.#names.table,
      firewall: this.#firewall,
      reservations: new PortReservations(host, readEphemeralRange()),
      defaultHostIp: options.defaultHostIp ?? "0.0.0.0",
      onError: (error) =>
        logger.warn("the firewall kept a port that is no longer published", {
          error: String(error),
        }),
    });
  }

  async start(): Promise<void> {
    const { host } = this.#options;
    mkdirSync(this.#netnsRoot, { recursive: true, mode: 0o711 });
    const bridge = await bringDefaultBridgeUp({
      host,
      linkName: this.#names.defaultBridge,
      mtu: this.#options.mtu ?? DEFAULT_MTU,
      previous: this.#records.byName("bridge")?.bridge,
      bip: this.#options.bip,
    });
    const { id } = this.#records.ensure("bridge", bridge);
    this.#records.ensure("host");
    this.#records.ensure("none");
    host.enableForwarding();
    await this.#firewall.write(renderTable(this.#names.table, [bridge]));
    this.#network ??= this.#networkOf(id, bridge);
  }

  async restore(entries: readonly RestoreEntry[]): Promise<RestoreResult> {
    const network = this.#requireNetwork();
    const kept = entries.filter((entry) => this.#isAlive(entry.sandbox));
    for (const { sandbox } of kept) {
      if (sandbox.mode === "bridge") network.adopt(sandbox);
      this.#used.set(sandbox.sandboxId, sandbox);
    }
    this.#removeStrays(new Set(kept.map((entry) => entry.sandbox.netnsPath)));
    const unpublished = await this.#publisher.replaceAll(
      kept.filter((entry) => entry.sandbox.mode === "bridge"),
    );
    network.openPool();
    const lost = entries.filter((entry) => !kept.includes(entry)).map((entry) => entry.containerId);
    return { lost, unpublished };
  }

  async acquire(request: AcquireRequest): Promise<Sandbox> {
    const network = this.#requireNetwork();
    const sandbox = request.mode === "none" ? this.#makeUnwired() : network.acquire(request);
    this.#used.set(sandbox.sandboxId, sandbox);
    return sandbox;
  }

  release(sandbox: Sandbox): void {
    if (!this.#used.delete(sandbox.sandboxId)) return;
    if (sandbox.mode === "none") this.#options.host.removeNetns(sandbox.netnsPath);
    else this.#requireNetwork().release(sandbox);
  }

  async publish(order: PublishOrder): Promise<PortMap> {
    // A container without a way out publishes nothing: Docker takes such a wish in silence.
    return order.sandbox.mode === "none" ? {} : await this.#publisher.publish(order);
  }

  async unpublish(containerId: string): Promise<void> {
    await this.#publisher.unpublish(containerId);
  }

  async settled(): Promise<void> {
    await this.#firewall.idle();
  }

  list(): readonly NetworkRecord[] {
    return this.#records.list();
  }

  get(nameOrId: string): NetworkRecord {
    return this.#records.get(nameOrId);
  }

  endpointSettings(sandbox: Sandbox): EndpointSettings {
    return endpointSettings(sandbox);
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
      pooledSandboxes: this.#network?.pooledCount ?? 0,
      usedSandboxes: this.#used.size,
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

  async stop(): Promise<void> {
    this.#network?.closePool();
    await this.#firewall.idle();
    this.#publisher.close();
  }

  /** Also without `start`. Processes that still live in a sandbox are cut off from the network. */
  async reset(): Promise<void> {
    const { host } = this.#options;
    await this.stop();
    this.#removeStrays(new Set());
    this.#used.clear();
    await this.#firewall.write(renderRemoval(this.#names.table));
    const links = [this.#names.cablePrefix, this.#names.bridgePrefix].flatMap((prefix) =>
      host.linksNamed(prefix),
    );
    await host.removeLinks(links);
    rmSync(this.#netnsRoot, { recursive: true, force: true });
    this.#network = undefined;
  }

  #networkOf(networkId: string, bridge: BridgeRecord): BridgeNetwork {
    const { host, logger, poolMin, poolMax } = this.#options;
    return new BridgeNetwork({
      host,
      networkId,
      bridge,
      netnsRoot: this.#netnsRoot,
      linkPrefix: this.#names.cablePrefix,
      onError: (error) =>
        logger.warn("no sandbox could be made in advance", { error: String(error) }),
      ...(poolMin === undefined ? {} : { poolMin }),
      ...(poolMax === undefined ? {} : { poolMax }),
    });
  }

  #requireNetwork(): BridgeNetwork {
    invariant(this.#network !== undefined, "the network room was used before its start");
    return this.#network;
  }

  #requireBridge(): BridgeRecord {
    const bridge = this.#records.byName("bridge")?.bridge;
    invariant(bridge !== undefined, "the network room was used before its start");
    return bridge;
  }

  #makeUnwired(): Sandbox {
    const ids = newSandboxIds();
    const netnsPath = netnsPathOf(this.#netnsRoot, ids.sandboxId);
    this.#options.host.createNetns(netnsPath);
    const networkId = this.#records.get("none").id;
    const none = { linkName: "", ip: "", prefix: 0, gateway: "", mac: "" };
    return { ...ids, networkId, mode: "none", netnsPath, ...none };
  }

  /** A namespace file on which nothing is mounted (after a reboot) is a plain file of its directory. */
  #isAlive({ netnsPath }: Sandbox): boolean {
    const file = statSync(netnsPath, { throwIfNoEntry: false });
    return file !== undefined && file.dev !== statSync(this.#netnsRoot).dev;
  }

  #removeStrays(keep: ReadonlySet<string>): void {
    for (const name of listDirectory(this.#netnsRoot)) {
      const path = `${this.#netnsRoot}/${name}`;
      if (!keep.has(path)) this.#options.host.removeNetns(path);
    }
  }
}

const listDirectory = (path: string): string[] =>
  statSync(path, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(path);

export const createNetworkService = (options: NetworkServiceOptions): NetworkService =>
  new LinuxNetworkService(options);
