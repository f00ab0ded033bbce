/** The room's front door: `createRemote`. See remote.ts. */
import { Authorizer } from "#remote/auth.ts";
import { type Endpoint, endpointsOf } from "#remote/endpoints.ts";
import { HostClient, type HostFacts } from "#remote/host.ts";
import { isInsecureHost } from "#remote/hosts.ts";
import { loginTo } from "#remote/login.ts";
import { Network } from "#remote/network.ts";
import type { Remote, RemoteConfig, RemoteState } from "#remote/remote.ts";
import { RegistryRepository } from "#remote/repository.ts";
import { searchIndex } from "#remote/search.ts";

const NOTHING: RemoteState = { tokens: [], hosts: [] };

export const createRemote = (config: RemoteConfig, learnt: RemoteState = NOTHING): Remote => {
  const network = new Network(config);
  const authorizer = new Authorizer(network, config, learnt.tokens);
  const facts = new Map<string, HostFacts>();
  for (const [name, scheme, challenge] of learnt.hosts) {
    facts.set(name, {
      scheme: scheme === "http" || scheme === "https" ? scheme : undefined,
      challenge,
    });
  }
  const clientOf = (endpoint: Endpoint): HostClient => {
    const key = `${endpoint.scheme ?? ""}//${endpoint.host}`;
    const known = facts.get(key) ?? { scheme: undefined, challenge: "" };
    facts.set(key, known);
    return new HostClient({ network, authorizer, config }, endpoint, known);
  };
  return {
    repository: (reference, credentials) =>
      new RegistryRepository(
        reference,
        endpointsOf(config, reference).map((endpoint) => ({
          endpoint,
          client: clientOf(endpoint),
        })),
        credentials,
        { network, config },
      ),
    login: (credentials, signal) => loginTo({ config, authorizer, clientOf }, credentials, signal),
    search: (term, limit, credentials, signal) =>
      searchIndex({ config, network }, { term, limit, credentials, signal }),
    isInsecure: (host) => isInsecureHost(host, config.insecure),
    state: () => ({
      tokens: authorizer.tokens(),
      hosts: [...facts].map(([name, { scheme, challenge }]) => [name, scheme ?? "", challenge]),
    }),
  };
};
