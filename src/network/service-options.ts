/** What the network room is handed, and the names on the host that belong to an instance. */
import { NaruError } from "#lib/errors.ts";
import type { Logger } from "#lib/log.ts";
import type { NetworkRows } from "#metadata/networks.ts";
import type { ReadChains } from "#network/diagnose.ts";
import type { NetworkHost } from "#network/host.ts";
import type { SubnetPool } from "#network/subnet.ts";

export interface NetworkServiceOptions {
  /** 6 to 8 hex digits: tells this daemon's links and tables from others'. */
  readonly instanceId: string;
  readonly execRoot: string;
  readonly host: NetworkHost;
  readonly rows: NetworkRows;
  readonly logger: Logger;
  /** The process beside the daemon: what starts it, and which build that is. */
  readonly beside: { readonly command: readonly string[]; readonly build: string };
  /** Told what came and went, after it is on disk. */
  readonly publish?: (event: NetworkEvent) => void;
  /** dockerd's `--bip`. */
  readonly bip?: string;
  /** dockerd's `--mtu`. */
  readonly mtu?: number;
  /** dockerd's `--ip`: where ports go that name no host address. */
  readonly defaultHostIp?: string;
  /** dockerd's `default-address-pools`; Docker's own when left out. */
  readonly pools?: readonly SubnetPool[];
  readonly poolMin?: number;
  readonly poolMax?: number;
  /** For tests: how foreign firewall chains are learned. */
  readonly readChains?: ReadChains;
}

export interface NetworkEvent {
  readonly Type: "network";
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Record<string, string> };
}

export interface InstanceNames {
  readonly bridgePrefix: string;
  readonly defaultBridge: string;
  readonly cablePrefix: string;
  readonly table: string;
}

/** Names on the host that belong to an instance. Links have at most 15 bytes. */
export const namesOf = (instanceId: string): InstanceNames => {
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
