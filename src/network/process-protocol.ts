/** What the daemon tells the network's process beside it. */
import type { EndpointHealth, Sandbox } from "#network/network.ts";

/** Ports inside of a sandbox at which its resolver listens. */
export interface ResolverPorts {
  readonly udpPort: number;
  readonly tcpPort: number;
}

export interface NamedSandbox {
  readonly sandbox: Sandbox;
  /** Absent: without health check. */
  readonly health?: EndpointHealth;
}

/** From a TCP port of an IPv6 address of the host ("::": of all of them) to a container. */
export interface Relay {
  readonly hostIp: string;
  readonly hostPort: number;
  readonly ip: string;
  readonly port: number;
}

/** What it could not be: EADDRINUSE where somebody else has the port. */
export type RefusedRelay = Relay & { readonly errno: string };

/** Names of containers for programs of the host itself. */
export interface HostNames {
  /** Where they are asked for; undefined: nowhere. */
  readonly listen: { readonly address: string; readonly port: number } | undefined;
  /** They and all below that nobody has get no answer but "no such name". */
  readonly domain: string;
  /** Lower case name → addresses of either family. */
  readonly names: Readonly<Record<string, readonly string[]>>;
}

export type NetworkTask =
  /** Answers `ResolverPorts`, or null for a sandbox that has no names. */
  | ({ readonly kind: "set" } & NamedSandbox)
  | { readonly kind: "delete"; readonly sandboxId: string }
  | { readonly kind: "health"; readonly sandboxId: string; readonly health: EndpointHealth }
  /** What `host.docker.internal` is, and the whole of what is to be known: others go. */
  | { readonly kind: "keep"; readonly sandboxIds: readonly string[]; readonly hostAddress: string }
  /** These in place of the container's earlier ones; answers those that cannot be had (`RefusedRelay`). */
  | { readonly kind: "relay"; readonly containerId: string; readonly relays: readonly Relay[] }
  /** Answers nothing; fails where the address cannot be had. */
  | ({ readonly kind: "hostNames" } & HostNames)
  | { readonly kind: "keepRelays"; readonly containerIds: readonly string[] };
