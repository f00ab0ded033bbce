/** The default bridge at daemon start: the one that is there, or a new one where nothing else is. */
import { randomHex } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import type { NetworkHost } from "#network/host.ts";
import { type Cidr, formatCidr, formatIpv4, overlaps, parseCidr } from "#network/ipv4.ts";
import type { BridgeRecord } from "#network/network.ts";
import { type Subnet, type SubnetPool, chooseSubnet, subnetOfBridgeIp } from "#network/subnet.ts";

export interface BringUpOptions {
  readonly host: NetworkHost;
  readonly linkName: string;
  readonly mtu: number;
  /** What the bridge was when the daemon last lived. */
  readonly previous: BridgeRecord | undefined;
  /** dockerd's `--bip`: address and block of the bridge. */
  readonly bip: string | undefined;
  readonly pools: readonly SubnetPool[];
}

const MAX_TRIES = 5;

const recordOf = (options: BringUpOptions, { subnet, gateway }: Subnet): BridgeRecord => ({
  linkName: options.linkName,
  subnet: formatCidr(subnet),
  gateway: formatIpv4(gateway),
  mtu: options.mtu,
});

const randomFraction = (): number => Number.parseInt(randomHex(3), 16) / 2 ** 24;

const addressOf = (bridge: BridgeRecord): string =>
  `${bridge.gateway}/${parseCidr(bridge.subnet).prefix}`;

/** The bridge that stands already, when it is the one that is wanted. */
const standing = async (options: BringUpOptions): Promise<BridgeRecord | undefined> => {
  const { host, linkName, previous, bip } = options;
  if (!host.hasLink(linkName)) return undefined;
  const wanted = bip === undefined ? previous : recordOf(options, subnetOfBridgeIp(bip));
  if (wanted !== undefined && host.addressesOf(linkName).includes(addressOf(wanted))) return wanted;
  if (bip !== undefined && previous !== undefined) {
    throw new NaruError(
      "failed_precondition",
      `bridge "${linkName}" has the address ${addressOf(previous)}, not "${bip}": stop this daemon's containers and remove the bridge (ip link delete ${linkName}) to move it`,
    );
  }
  // Half-made by a daemon that died: it has no address, so nothing can hang on it.
  await host.removeLinks([linkName]);
  return undefined;
};

const pick = (options: BringUpOptions, taken: readonly Cidr[], attempt: number): BridgeRecord => {
  const { previous, bip } = options;
  if (bip !== undefined) return recordOf(options, subnetOfBridgeIp(bip));
  const isFree = (bridge: BridgeRecord): boolean =>
    !taken.some((block) => overlaps(block, parseCidr(bridge.subnet)));
  if (attempt === 0 && previous !== undefined && isFree(previous)) {
    return { ...previous, linkName: options.linkName, mtu: options.mtu };
  }
  return recordOf(
    options,
    chooseSubnet(taken, attempt === 0 ? 0 : randomFraction(), options.pools),
  );
};

/**
 * Brings the bridge up and tells what it is. Two daemons that start in the same moment may pick the
 * same subnet: whoever sees the other's address afterwards gives way and picks again at random.
 */
export const bringDefaultBridgeUp = async (options: BringUpOptions): Promise<BridgeRecord> => {
  const { host, linkName } = options;
  const kept = await standing(options);
  if (kept !== undefined) {
    host.bringBridgeUp(kept);
    return kept;
  }
  for (let attempt = 0; ; attempt += 1) {
    const bridge = pick(options, host.takenBlocks(), attempt);
    host.bringBridgeUp(bridge);
    const own = parseCidr(bridge.subnet);
    const sharing = host.otherAddresses(linkName).filter((block) => overlaps(block, own));
    if (sharing.length === 0 || options.bip !== undefined) return bridge;
    // oxlint-disable-next-line no-await-in-loop -- the next try needs this one gone
    await host.removeLinks([linkName]);
    if (attempt === MAX_TRIES) {
      throw new NaruError(
        "resource_exhausted",
        `no subnet stays free for bridge "${linkName}": name one with --bip`,
      );
    }
  }
};
