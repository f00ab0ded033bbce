/** The networks that are up: their bridges, their addresses, and how they come and go. */
import { now, randomHex, sleep } from "#lib/clock.ts";
import { NaruError, invariant } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";
import { failpoint } from "#lib/failpoint.ts";
import { type BridgeNetwork, requireBridge } from "#network/bridge-network.ts";
import { type BringUpOptions, bringDefaultBridgeUp } from "#network/bring-up.ts";
import { uniqueLocalBlock } from "#network/ipv6.ts";
import {
  type Family,
  type FirewallNetwork,
  renderNetwork,
  renderNetworkRemoval,
  renderTable,
} from "#network/firewall.ts";
import type { FirewallWriter } from "#network/firewall-writer.ts";
import type { NetworkHost } from "#network/host.ts";
import { overlaps, parseCidr } from "#network/ipv4.ts";
import type { BridgeRecord, NetworkRecord, Vlan } from "#network/network.ts";
import { planNetwork } from "#network/network-plan.ts";
import type { NetworkRecords } from "#network/records.ts";
import type { SubnetPool } from "#network/subnet.ts";
import type { NetworkCreateRequest } from "#spec/docker/network.ts";

export interface NetworksOptions {
  readonly host: NetworkHost;
  readonly records: NetworkRecords;
  readonly firewall: FirewallWriter;
  readonly table: string;
  /** Begins the names of bridges that nobody named. */
  readonly bridgePrefix: string;
  readonly defaultBridge: string;
  readonly instanceId: string;
  readonly mtu: number;
  readonly pools: readonly SubnetPool[];
  readonly bip: string | undefined;
  readonly openBridge: (record: NetworkRecord, bridge: BridgeRecord) => BridgeNetwork;
  readonly logger: Logger;
}

const MAX_NAME_BYTES = 15;
const MAX_TRIES = 5;
const ANSWER_FIRST_MS = 2;

const randomFraction = (): number => Number.parseInt(randomHex(3), 16) / 2 ** 24;

const firewall6Of = (bridge: BridgeRecord): FirewallNetwork[] =>
  bridge.ipv6 === undefined
    ? []
    : [
        {
          ...bridge,
          subnet: bridge.ipv6.subnet,
          isMasqueradeOff: bridge.isMasqueradeOff === true || bridge.isRouted6 === true,
          isRouted: bridge.isRouted6 === true,
        },
      ];

const bridgesOf = (records: readonly NetworkRecord[]): BridgeRecord[] =>
  records.flatMap(({ bridge }) =>
    bridge === undefined || bridge.macvlan !== undefined ? [] : [bridge],
  );

type Macvlan = NonNullable<BridgeRecord["macvlan"]>;

const MAX_VLAN = 4094;

/** "eth0.50": number 50 on the wire of eth0. */
const vlanOf = (name: string): Vlan | undefined => {
  const [, parent, digits] = /^(.+)\.(\d{1,4})$/.exec(name) ?? [];
  const id = Number(digits);
  return parent === undefined || !(id >= 1 && id <= MAX_VLAN) ? undefined : { parent, id };
};

interface Removal {
  readonly bridge: BridgeRecord;
  readonly done: Promise<void>;
}

export class Networks {
  readonly #options: NetworksOptions;
  readonly #live = new Map<string, BridgeNetwork>();
  #hasIpv6 = false;
  /** Bridges on their way out: nobody may take their name or subnet before they have gone. */
  readonly #removals = new Set<Removal>();

  constructor(options: NetworksOptions) {
    this.#options = options;
  }

  /** Everything that has a row is up and in the firewall's table; what has none goes. */
  async start(): Promise<void> {
    const { host, records, firewall, table, mtu, bip, pools, defaultBridge } = this.#options;
    const orders: BringUpOptions = {
      host,
      linkName: defaultBridge,
      mtu,
      previous: records.byName("bridge")?.bridge,
      bip,
      pools,
    };
    records.ensure("bridge", await bringDefaultBridgeUp(orders));
    records.ensure("host");
    records.ensure("none");
    for (const record of records.list()) this.#bringUp(record);
    const bridges = bridgesOf(records.list());
    await firewall.write(renderTable(table, bridges));
    if (bridges.some(({ ipv6 }) => ipv6 !== undefined)) await this.#raise6();
    this.#sweep(new Set(bridges.map(({ linkName }) => linkName)));
  }

  /** Which tables there are. */
  get families(): readonly Family[] {
    return this.#hasIpv6 ? ["ip", "ip6"] : ["ip"];
  }

  /** The bridge of a network that is up. Throws permission_denied for one that has none. */
  bridgeOf(record: NetworkRecord): BridgeNetwork {
    const live = this.#live.get(record.id);
    if (live !== undefined) return live;
    requireBridge(record);
    throw new NaruError(
      "failed_precondition",
      `network ${record.name} is not up: see the daemon's log for the reason`,
    );
  }

  get defaultNetwork(): BridgeNetwork {
    const live = this.#live.get(this.#options.records.byName("bridge")?.id ?? "");
    invariant(live !== undefined, "the network room was used before its start");
    return live;
  }

  get #defaultOrNone(): BridgeNetwork | undefined {
    return this.#live.get(this.#options.records.byName("bridge")?.id ?? "");
  }

  closePool(): void {
    this.#defaultOrNone?.closePool();
  }

  async create(request: NetworkCreateRequest): Promise<NetworkRecord> {
    const { records, host, firewall, table } = this.#options;
    for (let attempt = 0; ; attempt += 1) {
      const record = await this.#planned(request, attempt);
      const { bridge } = record;
      records.put(record);
      failpoint("network.after-row");
      if (bridge === undefined) return record;
      await using undo = new AsyncDisposableStack();
      undo.defer(() => {
        this.#live.delete(record.id);
        records.delete(record.id);
      });
      if (bridge.macvlan !== undefined) {
        this.#raiseVlan(bridge.macvlan);
        undo.defer(() => this.#dropVlan(bridge.macvlan));
        this.#live.set(record.id, this.#options.openBridge(record, bridge));
        undo.move();
        return record;
      }
      host.bringBridgeUp(bridge);
      undo.defer(() => host.removeLinks([bridge.linkName]));
      failpoint("network.after-bridge");
      // Another daemon may have picked the same subnet in the same moment: then this one gives way.
      if (bridge.isSubnetNamed !== true && attempt < MAX_TRIES && this.#isShared(bridge)) continue;
      undo.defer(() => this.#forget(bridge));
      await firewall.write(renderNetwork(table, bridge));
      for (const one of firewall6Of(bridge)) {
        // oxlint-disable-next-line no-await-in-loop -- there is one at most
        await (this.#hasIpv6 ? firewall.write(renderNetwork(table, one, "ip6")) : this.#raise6());
      }
      this.#live.set(record.id, this.#options.openBridge(record, bridge));
      undo.move();
      return record;
    }
  }

  /** Nobody has an endpoint in it any more: the caller has looked. */
  async remove(record: NetworkRecord): Promise<void> {
    const { records, bridgePrefix } = this.#options;
    const bridge = record.bridge?.macvlan === undefined ? record.bridge : undefined;
    this.#live.delete(record.id);
    // Nobody would find it without the row.
    await this.#dropVlan(record.bridge?.macvlan);
    const isNamed = bridge !== undefined && !bridge.linkName.startsWith(bridgePrefix);
    // A bridge of ours is found by its name after a death of the daemon; of another, the row must tell.
    if (isNamed) await this.#takeDown(bridge, 0);
    records.delete(record.id);
    failpoint("network-remove.after-row");
    // The kernel takes tens of milliseconds for a bridge: the answer goes first.
    if (bridge !== undefined && !isNamed) void this.#takeDown(bridge, ANSWER_FIRST_MS);
  }

  /** Resolves when every bridge that is on its way out has gone. */
  async settled(): Promise<void> {
    while (this.#removals.size > 0) {
      await Promise.all([...this.#removals].map(({ done }) => done));
    }
  }

  /** What the first network with IPv6 brings: its table, and a host that forwards. */
  async #raise6(): Promise<void> {
    const { firewall, table, host, records } = this.#options;
    const bridges = bridgesOf(records.list());
    await firewall.write(renderTable(table, bridges.flatMap(firewall6Of), "ip6"));
    this.#hasIpv6 = true;
    host.enableForwarding6();
  }

  #bringUp(record: NetworkRecord): void {
    const { bridge } = record;
    if (bridge === undefined || this.#live.has(record.id)) return;
    try {
      if (bridge.macvlan === undefined) this.#options.host.bringBridgeUp(bridge);
      else this.#raiseVlan(bridge.macvlan);
      this.#live.set(record.id, this.#options.openBridge(record, bridge));
    } catch (error) {
      if (record.name === "bridge") throw error;
      // One network must not keep the others down.
      const { name } = record;
      this.#options.logger.error("a network did not come up", { name, error: String(error) });
    }
  }

  #sweep(known: ReadonlySet<string>): void {
    const { host, bridgePrefix } = this.#options;
    const strays = host.linksNamed(bridgePrefix).filter((name) => !known.has(name));
    if (strays.length > 0) void this.#removeLinks(strays);
  }

  /** A record whose name, subnet and link nobody has at this moment. */
  async #planned(request: NetworkCreateRequest, attempt: number): Promise<NetworkRecord> {
    const { host, records, pools, mtu } = this.#options;
    for (;;) {
      const id = randomHex(32);
      const record = planNetwork(request, {
        id,
        createdAt: now(),
        records: records.list(),
        takenBlocks: () => host.takenBlocks(),
        pools,
        linkName: `${this.#options.bridgePrefix}${id}`.slice(0, MAX_NAME_BYTES),
        mtu,
        base6: uniqueLocalBlock(this.#options.instanceId),
        chance: attempt === 0 ? 0 : randomFraction(),
      });
      const { bridge } = record;
      if (bridge === undefined) return record;
      const inTheWay = [...this.#removals].filter(
        (removal) =>
          removal.bridge.linkName === bridge.linkName ||
          overlaps(parseCidr(removal.bridge.subnet), parseCidr(bridge.subnet)),
      );
      if (inTheWay.length === 0) {
        const { macvlan, linkName } = bridge;
        if (macvlan === undefined ? !host.hasLink(linkName) : host.hasLink(macvlan.parent)) {
          return record;
        }
        if (macvlan !== undefined) {
          const vlan = vlanOf(macvlan.parent);
          if (vlan !== undefined && host.hasLink(vlan.parent)) {
            return { ...record, bridge: { ...bridge, macvlan: { ...macvlan, vlan } } };
          }
          throw new NaruError(
            "invalid_argument",
            `parent interface "${macvlan.parent}" does not exist on this host: ip link shows those that do`,
          );
        }
        throw new NaruError(
          "permission_denied",
          `bridge "${bridge.linkName}" exists on this host already: choose another name, naru makes its own bridges`,
        );
      }
      // oxlint-disable-next-line no-await-in-loop -- then everything is looked at anew
      await Promise.all(inTheWay.map(({ done }) => done));
    }
  }

  #raiseVlan({ parent, vlan }: Macvlan): void {
    if (vlan !== undefined) this.#options.host.bringVlanUp(parent, vlan);
  }

  async #dropVlan(macvlan: Macvlan | undefined): Promise<void> {
    if (macvlan?.vlan !== undefined) await this.#options.host.removeLinks([macvlan.parent]);
  }

  #isShared({ linkName, subnet }: BridgeRecord): boolean {
    const own = parseCidr(subnet);
    return this.#options.host.otherAddresses(linkName).some((block) => overlaps(block, own));
  }

  async #forget(bridge: BridgeRecord): Promise<void> {
    const { firewall, table, logger } = this.#options;
    const text6 = firewall6Of(bridge).map((one) => renderNetworkRemoval(table, one, "ip6"));
    await firewall
      .write(renderNetworkRemoval(table, bridge) + text6.join(""))
      .catch((error: unknown) =>
        logger.warn("the firewall kept a network that was removed", { error: String(error) }),
      );
  }

  #takeDown(bridge: BridgeRecord, delayMs: number): Promise<void> {
    const work = async (): Promise<void> => {
      if (delayMs > 0) await sleep(delayMs);
      await this.#forget(bridge);
      await this.#removeLinks([bridge.linkName]);
      this.#removals.delete(removal);
    };
    const removal: Removal = { bridge, done: work() };
    this.#removals.add(removal);
    return removal.done;
  }

  async #removeLinks(names: readonly string[]): Promise<void> {
    const { host, logger } = this.#options;
    await host
      .removeLinks(names)
      .catch((error: unknown) => logger.warn("bridges stayed", { names, error: String(error) }));
  }
}
