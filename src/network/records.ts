/** The networks that exist, in memory and as rows. */
import { now, randomHex } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import type { NetworkRows } from "#metadata/networks.ts";
import type { BridgeRecord, NetworkDriver, NetworkRecord } from "#network/network.ts";

/** Name and driver of what is always there. */
export const DEFAULT_NETWORKS = { bridge: "bridge", host: "host", none: "null" } as const;

export const isPredefined = ({ name }: NetworkRecord): boolean => name in DEFAULT_NETWORKS;

export class NetworkRecords {
  readonly #rows: NetworkRows;
  readonly #byId = new Map<string, NetworkRecord>();

  constructor(rows: NetworkRows) {
    this.#rows = rows;
    for (const row of rows.all()) this.#byId.set(row.id, JSON.parse(row.record) as NetworkRecord);
  }

  list(): readonly NetworkRecord[] {
    return [...this.#byId.values()];
  }

  find(id: string): NetworkRecord | undefined {
    return this.#byId.get(id);
  }

  byName(name: string): NetworkRecord | undefined {
    return this.list().find((record) => record.name === name);
  }

  /** By name, id, or unambiguous id prefix; a full match wins. */
  get(nameOrId: string): NetworkRecord {
    const exact = this.#byId.get(nameOrId) ?? this.byName(nameOrId);
    if (exact !== undefined) return exact;
    const found = nameOrId === "" ? [] : this.list().filter((r) => r.id.startsWith(nameOrId));
    const [first, second] = found;
    if (first !== undefined && second === undefined) return first;
    if (first === undefined) throw new NaruError("not_found", `network ${nameOrId} not found`);
    throw new NaruError(
      "invalid_argument",
      `network "${nameOrId}" is ambiguous: ${found.length} networks have an id that begins so`,
    );
  }

  /** The default network of this name; its row is made when missing and keeps its id for ever. */
  ensure(name: keyof typeof DEFAULT_NETWORKS, bridge?: BridgeRecord): NetworkRecord {
    const existing = this.byName(name);
    const driver: NetworkDriver = DEFAULT_NETWORKS[name];
    const record: NetworkRecord = {
      id: existing?.id ?? randomHex(32),
      name,
      driver,
      createdAt: existing?.createdAt ?? now(),
      labels: {},
      options: bridge === undefined ? {} : bridgeOptions(bridge),
      ...(bridge === undefined ? {} : { bridge }),
    };
    if (JSON.stringify(existing) !== JSON.stringify(record)) this.put(record);
    return record;
  }

  put(record: NetworkRecord): void {
    this.#rows.put({ id: record.id, name: record.name, record: JSON.stringify(record) });
    this.#byId.set(record.id, record);
  }

  delete(id: string): void {
    this.#rows.delete(id);
    this.#byId.delete(id);
  }
}

/** What clients look for on the default bridge. */
const bridgeOptions = (bridge: BridgeRecord): Record<string, string> => ({
  "com.docker.network.bridge.default_bridge": "true",
  "com.docker.network.bridge.enable_icc": "true",
  "com.docker.network.bridge.enable_ip_masquerade": "true",
  "com.docker.network.bridge.host_binding_ipv4": "0.0.0.0",
  "com.docker.network.bridge.name": bridge.linkName,
  "com.docker.network.driver.mtu": String(bridge.mtu),
});
