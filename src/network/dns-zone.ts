/** Who is called what in which network. In memory; follows the sandboxes in use. */
import type { Endpoint, EndpointHealth, Sandbox } from "#network/network.ts";

interface NetworkNames {
  readonly networkName: string;
  /** Lower case name → who bears it, by endpoint: several containers may share an alias. */
  readonly byName: Map<string, Map<string, Bearer>>;
  /** Address → the container's first name. */
  readonly byAddress: Map<string, string>;
}

interface Bearer {
  readonly sandboxId: string;
  readonly addresses: readonly string[];
}

const addressesOf = ({ ip, ipv6 }: Endpoint): string[] =>
  ipv6 === undefined ? [ip] : [ip, ipv6.ip];

export class DnsZone {
  readonly #networks = new Map<string, NetworkNames>();
  readonly #sandboxes = new Map<string, readonly Endpoint[]>();
  /** Of sandboxes whose container has a health check. */
  readonly #health = new Map<string, EndpointHealth>();
  /** Grows with each change: what was derived from an older one is out of date. */
  version = 0;

  /** The sandbox's endpoints as they are from now on. */
  set(sandbox: Sandbox): void {
    this.delete(sandbox);
    const named = sandbox.endpoints.filter((endpoint) => endpoint.names.length > 0);
    if (named.length === 0) return;
    this.#sandboxes.set(sandbox.sandboxId, named);
    for (const endpoint of named) this.#add(sandbox.sandboxId, endpoint);
  }

  /** undefined: it has no health check. */
  setHealth(sandboxId: string, health: EndpointHealth | undefined): void {
    if (this.#health.get(sandboxId) === health) return;
    this.version += 1;
    if (health === undefined) this.#health.delete(sandboxId);
    else this.#health.set(sandboxId, health);
  }

  delete({ sandboxId }: Pick<Sandbox, "sandboxId">): void {
    const endpoints = this.#sandboxes.get(sandboxId);
    if (endpoints === undefined) return;
    this.version += 1;
    this.#sandboxes.delete(sandboxId);
    for (const endpoint of endpoints) this.#remove(endpoint);
  }

  /** Addresses of a name, or of "name.network"; undefined when nobody is called so. */
  lookup(networkId: string, name: string): string[] | undefined {
    const network = this.#networks.get(networkId);
    if (network === undefined) return undefined;
    const suffix = `.${network.networkName.toLowerCase()}`;
    const found =
      network.byName.get(name) ??
      (name.endsWith(suffix) ? network.byName.get(name.slice(0, -suffix.length)) : undefined);
    return found === undefined ? undefined : this.#fitOf([...found.values()]);
  }

  /**
   * Addresses of those that can serve: healthy, or without a health check. Where nobody is, all of
   * them: a program that starts together with its peers must find them.
   */
  #fitOf(bearers: readonly Bearer[]): string[] {
    const fit = bearers.filter(
      ({ sandboxId }) => (this.#health.get(sandboxId) ?? "healthy") === "healthy",
    );
    return (fit.length > 0 ? fit : bearers).flatMap(({ addresses }) => addresses);
  }

  /** "name.network" of an address. */
  reverse(networkId: string, address: string): string | undefined {
    const network = this.#networks.get(networkId);
    const name = network?.byAddress.get(address);
    return name === undefined || network === undefined
      ? undefined
      : `${name}.${network.networkName}`;
  }

  #add(sandboxId: string, endpoint: Endpoint): void {
    this.version += 1;
    const { networkId, networkName, endpointId, names } = endpoint;
    const addresses = addressesOf(endpoint);
    const network = this.#networks.get(networkId) ?? {
      networkName,
      byName: new Map<string, Map<string, Bearer>>(),
      byAddress: new Map<string, string>(),
    };
    this.#networks.set(networkId, network);
    for (const name of names) {
      const key = name.toLowerCase();
      const known = network.byName.get(key) ?? new Map<string, Bearer>();
      network.byName.set(key, known.set(endpointId, { sandboxId, addresses }));
    }
    for (const address of addresses) network.byAddress.set(address, names[0] ?? "");
  }

  #remove(endpoint: Endpoint): void {
    const { networkId, endpointId, names } = endpoint;
    const network = this.#networks.get(networkId);
    if (network === undefined) return;
    for (const name of names) {
      const key = name.toLowerCase();
      const bearers = network.byName.get(key);
      bearers?.delete(endpointId);
      if (bearers?.size === 0) network.byName.delete(key);
    }
    for (const address of addressesOf(endpoint)) network.byAddress.delete(address);
    if (network.byName.size === 0) this.#networks.delete(networkId);
  }
}
