/** What happened at a registry, told after it did: for the audit log, webhooks and metrics. */
import type { Digest } from "#spec/image/digest.ts";

export type RegistryAction = "pull" | "push" | "mount" | "delete" | "denied";

export interface RegistryEvent {
  readonly action: RegistryAction;
  /** "blob", "manifest", "tag", or what was asked for when it was denied. */
  readonly kind: "blob" | "manifest" | "tag" | "other";
  readonly repository: string;
  readonly digest?: Digest;
  readonly tags?: readonly string[];
  readonly mediaType?: string;
  readonly sizeBytes?: number;
  readonly fromRepository?: string;
  /** Who: a user's name, "" for anonymous. */
  readonly actor: string;
  readonly remoteAddress: string;
  readonly method: string;
  readonly host: string;
  readonly userAgent: string;
}

export interface RegistryObserver {
  event(event: RegistryEvent): void;
  /** Every request, when its answer is decided. */
  request(method: string, route: string, status: number, durationMs: number): void;
}
