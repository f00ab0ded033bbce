/** Who is called what in which network. In memory; follows the sandboxes in use. */
import type { Endpoint, Sandbox } from "#network/network.ts";

interface NetworkNames {
  readonly networkName: string;
  /** Lower case name → addresses by endpoint: several containers may share an alias. */
  readonly byName: Map<string, Map<string, readonly string[]>>;
  /** Address → the container's first name. */
  readonly byAddress: Map<string, string>;
}

const addressesOf = ({ ip, ipv6 }: Endpoint): string[] =>
  ipv6 === undefined ? [ip] : [ip, ipv6.ip];

export class DnsZone {
  readonly #networks = new Map<string, NetworkNames>();
  readonly #sandboxes = new Map<string, readonly Endpoint[]>();
  /** Grows with each change: what was derived from an older one is out of date. */
  version = 0;

  /** The sandbox's endpoints as they are from now on. */
  set(sandbox: Sandbox): void {
    this.delete(sandbox);
    const named = sandbox.endpoints.filter((endpoint) => endpoint.names.length > 0);
    if (named.length === 0) return;
    this.#sandboxes.set(sandbox.sandboxId, named);
    for (const endpoint of named) this.#add(endpoint);
  }

  delete({ sandboxId }: Sandbox): void {
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
    return found === undefined ? undefined : [...found.values()].flat();
  }

  /** "name.network" of an address. */
  reverse(networkId: string, address: string): string | undefined {
    const network = this.#networks.get(networkId);
    const name = network?.byAddress.get(address);
    return name === undefined || network === undefined
      ? undefined
      : `${name}.${network.networkName}`;
  }

  #add(endpoint: Endpoint): void {
    this.version += 1;
    const { networkId, networkName, endpointId, names } = endpoint;
    const addresses = addressesOf(endpoint);
    const network = this.#networks.get(networkId) ?? {
      networkName,
      byName: new Map<string, Map<string, readonly string[]>>(),
      byAddress: new Map<string, string>(),
    };
    this.#networks.set(networkId, network);
    for (const name of names) {
      const key = name.toLowerCase();
      const known = network.byName.get(key) ?? new Map<string, readonly string[]>();
      network.byName.set(key, known.set(endpointId, addresses));
    }
    for (const address of addresses) network.byAddress.set(address, names[0] ?? "");
  }

  #remove(endpoint: Endpoint): void {
    const { networkId, endpointId, names } = endpoint;
    const network = this.#networks.get(networkId);
    if (network === undefined) return;
    for (const name of names) {
      const key = name.toLowerCase();
      const addresses = network.byName.get(key);
      addresses?.delete(endpointId);
      if (addresses?.size === 0) network.byName.delete(key);
    }
    for (const address of addressesOf(endpoint)) network.byAddress.delete(address);
    if (network.byName.size === 0) this.#networks.delete(networkId);
  }
}
