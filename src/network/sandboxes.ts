/** Sandboxes in use: made, wired to more networks and fewer, given back. */
import { NaruError } from "#lib/errors.ts";
import { newSandboxPlace } from "#network/bridge-network.ts";
import {
  IFNAME_OPTION,
  SYSCTLS_OPTION,
  checkEndpointOrder,
  endpointSysctls,
} from "#network/endpoint-order.ts";
import { freeInterfaceName, gatewayEndpoint } from "#network/gateway.ts";
import type { NetworkHost } from "#network/host.ts";
import type {
  AcquireRequest,
  Endpoint,
  EndpointOrder,
  NetworkRecord,
  Sandbox,
} from "#network/network.ts";
import type { Networks } from "#network/networks.ts";
import type { NetworkRecords } from "#network/records.ts";
import { randomHex } from "#lib/clock.ts";

export interface SandboxesOptions {
  readonly host: NetworkHost;
  readonly records: NetworkRecords;
  readonly networks: Networks;
  readonly netnsRoot: string;
}

interface Use {
  readonly containerId: string;
  readonly sandbox: Sandbox;
}

const isPlain = (record: NetworkRecord, order: EndpointOrder): boolean =>
  record.name === "bridge" &&
  order.ip === undefined &&
  order.ip6 === undefined &&
  order.mac === undefined &&
  Object.keys(order.options ?? {}).length === 0;

export class Sandboxes {
  readonly #options: SandboxesOptions;
  readonly #used = new Map<string, Use>();

  constructor(options: SandboxesOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#used.size;
  }

  acquire(request: AcquireRequest): Sandbox {
    const { nameservers = [] } = request;
    const made = request.mode === "none" ? this.#makeUnwired() : this.#make(request.endpoints);
    const sandbox = nameservers.length === 0 ? made : { ...made, nameservers };
    this.#used.set(sandbox.sandboxId, { containerId: request.containerId, sandbox });
    return sandbox;
  }

  /** Takes over what outlived the daemon. */
  adopt(containerId: string, sandbox: Sandbox): void {
    if (sandbox.mode === "bridge") {
      for (const endpoint of sandbox.endpoints) this.#bridgeOf(endpoint)?.adopt(endpoint);
    }
    this.#used.set(sandbox.sandboxId, { containerId, sandbox });
  }

  release(sandbox: Sandbox): void {
    const use = this.#used.get(sandbox.sandboxId);
    if (use === undefined) return;
    this.#used.delete(sandbox.sandboxId);
    this.#options.host.removeNetns(sandbox.netnsPath);
    if (sandbox.mode === "none") return;
    for (const endpoint of use.sandbox.endpoints) this.#bridgeOf(endpoint)?.release(endpoint);
  }

  connect(given: Sandbox, order: EndpointOrder): Sandbox {
    const { containerId, sandbox } = this.#useOf(given);
    const isNone = this.#options.records.get(order.network).driver === "null";
    if (isNone && sandbox.endpoints.length === 0) {
      return this.#replace(containerId, { ...sandbox, mode: "none", endpoints: [this.#nowhere()] });
    }
    if (isNone || sandbox.mode === "none") {
      throw new NaruError(
        "invalid_argument",
        "container cannot be connected to multiple networks with one of the networks in private (none) mode",
      );
    }
    const endpoint = this.#plan(order, sandbox.endpoints);
    const endpoints = [...sandbox.endpoints, endpoint];
    const isGateway = gatewayEndpoint(endpoints) === endpoint;
    try {
      this.#wire(sandbox.netnsPath, endpoint, order, false);
    } catch (error) {
      this.#bridgeOf(endpoint)?.release(endpoint);
      throw error;
    }
    // In place of the route there is, which another cable may have brought.
    if (isGateway) {
      this.#routeThrough(sandbox, endpoint);
    }
    return this.#replace(containerId, { ...sandbox, endpoints });
  }

  async disconnect(given: Sandbox, networkId: string): Promise<Sandbox> {
    const { containerId, sandbox } = this.#useOf(given);
    const { host } = this.#options;
    const endpoint = sandbox.endpoints.find((one) => one.networkId === networkId);
    if (endpoint === undefined) {
      throw new NaruError("not_found", `no endpoint in the network "${networkId}"`);
    }
    if (sandbox.mode === "none") {
      return this.#replace(containerId, { ...sandbox, mode: "bridge", endpoints: [] });
    }
    const endpoints = sandbox.endpoints.filter((one) => one !== endpoint);
    const next = gatewayEndpoint(endpoints);
    if (gatewayEndpoint(sandbox.endpoints) === endpoint && next !== undefined) {
      this.#routeThrough(sandbox, next);
    }
    const replaced = this.#replace(containerId, { ...sandbox, endpoints });
    try {
      if (endpoint.linkName === "") host.unplug(sandbox.netnsPath, endpoint.name);
      else await host.removeLinks([endpoint.linkName]);
    } finally {
      this.#bridgeOf(endpoint)?.release(endpoint);
    }
    return replaced;
  }

  rename(given: Sandbox, names: (endpoint: Endpoint) => readonly string[]): Sandbox {
    const { containerId, sandbox } = this.#useOf(given);
    const endpoints = sandbox.endpoints.map((one) => ({ ...one, names: names(one) }));
    return this.#replace(containerId, { ...sandbox, endpoints });
  }

  /** Who is in a network, and how they are called there. */
  endpointsIn(networkId: string): { readonly containerId: string; readonly endpoint: Endpoint }[] {
    return [...this.#used.values()].flatMap(({ containerId, sandbox }) =>
      sandbox.endpoints
        .filter((endpoint) => endpoint.networkId === networkId)
        .map((endpoint) => ({ containerId, endpoint })),
    );
  }

  clear(): void {
    this.#used.clear();
  }

  /** In place of the routes there are. */
  #routeThrough({ netnsPath }: Sandbox, endpoint: Endpoint): void {
    const { host } = this.#options;
    for (const gateway of [endpoint.gateway, endpoint.ipv6?.gateway]) {
      if (gateway) host.setDefaultRoute(netnsPath, endpoint.name, gateway);
    }
  }

  #replace(containerId: string, sandbox: Sandbox): Sandbox {
    this.#used.set(sandbox.sandboxId, { containerId, sandbox });
    return sandbox;
  }

  #useOf({ sandboxId }: Sandbox): Use {
    const use = this.#used.get(sandboxId);
    if (use !== undefined) return use;
    throw new NaruError("failed_precondition", `sandbox "${sandboxId}" was given back already`);
  }

  #bridgeOf(endpoint: Endpoint) {
    const record = this.#options.records.find(endpoint.networkId);
    return record?.bridge === undefined ? undefined : this.#options.networks.bridgeOf(record);
  }

  #make(orders: readonly EndpointOrder[]): Sandbox {
    const { host, records, networks, netnsRoot } = this.#options;
    const [only, second] = orders;
    if (only !== undefined && second === undefined && isPlain(records.get(only.network), only)) {
      const sandbox = networks.defaultNetwork.takeSandbox();
      const { gatewayPriority = 0, names = [] } = only;
      const endpoints = sandbox.endpoints.map((one) => ({ ...one, gatewayPriority, names }));
      return { ...sandbox, endpoints };
    }
    const place = newSandboxPlace(netnsRoot);
    const endpoints: Endpoint[] = [];
    host.createNetns(place.netnsPath);
    try {
      for (const order of orders) endpoints.push(this.#plan(order, endpoints));
      const gateway = gatewayEndpoint(endpoints);
      for (const [index, order] of orders.entries()) {
        const endpoint = endpoints[index];
        if (endpoint !== undefined) {
          this.#wire(place.netnsPath, endpoint, order, endpoint === gateway);
        }
      }
    } catch (error) {
      // The cables go with the namespace.
      host.removeNetns(place.netnsPath);
      for (const endpoint of endpoints) this.#bridgeOf(endpoint)?.release(endpoint);
      throw error;
    }
    return { ...place, mode: "bridge", endpoints };
  }

  #plan(order: EndpointOrder, endpoints: readonly Endpoint[]): Endpoint {
    const record = this.#options.records.get(order.network);
    checkEndpointOrder(record, order);
    if (endpoints.some((one) => one.networkId === record.id)) {
      throw new NaruError(
        "permission_denied",
        `endpoint with name ${order.names?.[0] ?? ""} already exists in network ${record.name}`,
      );
    }
    const network = this.#options.networks.bridgeOf(record);
    const wanted = order.options?.[IFNAME_OPTION];
    if (wanted !== undefined && endpoints.some((one) => one.name === wanted)) {
      throw new NaruError("invalid_argument", `interface name "${wanted}" is wanted twice`);
    }
    const name = wanted ?? freeInterfaceName(endpoints, network.bridge.interfacePrefix);
    return network.plan(order, name);
  }

  #wire(netnsPath: string, endpoint: Endpoint, order: EndpointOrder, isGateway: boolean): void {
    const { host, records, networks } = this.#options;
    networks.bridgeOf(records.get(endpoint.networkId)).wire(netnsPath, endpoint, isGateway);
    const sysctls = order.options?.[SYSCTLS_OPTION];
    if (sysctls !== undefined) {
      host.writeSysctls(netnsPath, endpointSysctls(sysctls, endpoint.name));
    }
  }

  #makeUnwired(): Sandbox {
    const { host, netnsRoot } = this.#options;
    const place = newSandboxPlace(netnsRoot);
    host.createNetns(place.netnsPath);
    return { ...place, mode: "none", endpoints: [this.#nowhere()] };
  }

  /** The one endpoint of mode none. */
  #nowhere(): Endpoint {
    const { id: networkId, name: networkName } = this.#options.records.get("none");
    const none = { linkName: "", name: "", ip: "", prefix: 0, gateway: "", mac: "" };
    const endpointId = randomHex(32);
    return { endpointId, networkId, networkName, ...none, gatewayPriority: 0, names: [] };
  }
}
