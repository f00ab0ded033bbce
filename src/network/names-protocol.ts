/** What the daemon tells the process that resolves names. */
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

export type NamesTask =
  /** Answers `ResolverPorts`, or null for a sandbox that has no names. */
  | ({ readonly kind: "set" } & NamedSandbox)
  | { readonly kind: "delete"; readonly sandboxId: string }
  | { readonly kind: "health"; readonly sandboxId: string; readonly health: EndpointHealth }
  /** What `host.docker.internal` is, and the whole of what is to be known: others go. */
  | { readonly kind: "keep"; readonly sandboxIds: readonly string[]; readonly hostAddress: string };
