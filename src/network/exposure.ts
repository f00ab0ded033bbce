/** Who can reach a published port, as far as this host decides it. Pure. */
import type { FirewallChain } from "#network/diagnose.ts";

export interface HostReach {
  /** Addresses that others know this host by, of either family. */
  readonly addresses: readonly string[];
  readonly chains: readonly FirewallChain[];
  /** Own table: its chains are no hindrance. */
  readonly table: string;
}

export interface Exposure {
  readonly scope: "machine" | "address" | "everywhere";
  readonly addresses: readonly string[];
  /** Loopback addresses of this machine that lead there. */
  readonly local: readonly string[];
  readonly notes: readonly string[];
}

const isLoopback = (address: string): boolean => address.startsWith("127.") || address === "::1";

const isAny = (address: string): boolean => address === "0.0.0.0" || address === "::";

const familyChains = ({ chains, table }: HostReach, hook: string, isV6: boolean) =>
  chains.filter(
    (chain) =>
      chain.hook === hook &&
      chain.table !== table &&
      chain.policy !== "accept" &&
      (chain.family === "inet" || chain.family.startsWith("ip6") === isV6) &&
      chain.family.startsWith("i"),
  );

const nameOf = (chain: FirewallChain): string => `${chain.family} ${chain.table} ${chain.name}`;

const localOf = (hostIp: string, isAtLoopback6: boolean): string[] => [
  ...(hostIp === "0.0.0.0" ? ["127.0.0.1"] : []),
  ...(hostIp.startsWith("127.") ? [hostIp] : []),
  ...(isAtLoopback6 && (isLoopback(hostIp) || isAny(hostIp)) ? ["::1"] : []),
];

/**
 * `hostIp` as the port is bound: "0.0.0.0", "::", or one address. `isRelayed`: a process of this host carries what
 * comes to the address, so it is no packet that is forwarded.
 */
export const exposureOf = (
  hostIp: string,
  reach: HostReach,
  isRelayed: (address: string) => boolean,
): Exposure => {
  const isAtLoopback6 = isRelayed("::1");
  const local = localOf(hostIp, isAtLoopback6);
  const isV6 = hostIp.includes(":");
  if (isLoopback(hostIp)) return { scope: "machine", addresses: [], local, notes: [] };
  const own = reach.addresses.filter((address) => address.includes(":") === isV6);
  const addresses = isAny(hostIp) ? own : [hostIp];
  const notes: string[] = [];
  const isCarried = isV6 && isRelayed(hostIp);
  for (const chain of familyChains(reach, isCarried ? "input" : "forward", isV6)) {
    notes.push(
      chain.policy === "drop"
        ? `${nameOf(chain)} drops ${isCarried ? "incoming" : "forwarded"} packets by default: others may be kept out`
        : `${nameOf(chain)} may keep others out`,
    );
  }
  for (const chain of isCarried ? [] : familyChains(reach, "input", isV6)) {
    notes.push(
      `${nameOf(chain)} does not protect it: published ports are forwarded, they do not pass the input rules`,
    );
  }
  if (hostIp === "::" && !isAtLoopback6) {
    notes.push("[::1] of this machine does not lead there: use 127.0.0.1");
  }
  if (isAny(hostIp) && own.length === 0) {
    notes.push("this host has no address in this family that others know");
  }
  return { scope: isAny(hostIp) ? "everywhere" : "address", addresses, local, notes };
};
