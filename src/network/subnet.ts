/** Which addresses a new network takes: the first block of the pools that nothing on this host uses. Pure. */
import { NaruError } from "#lib/errors.ts";
import {
  type Cidr,
  broadcastOf,
  formatCidr,
  networkOf,
  overlaps,
  parseCidr,
  sizeOf,
} from "#network/ipv4.ts";

/** Blocks of /size cut out of a base, as dockerd's `default-address-pools` say. */
export interface SubnetPool {
  readonly base: Cidr;
  readonly size: number;
}

/** "172.17.0.0/16" in blocks of /16. Throws invalid_argument. */
export const parsePool = (base: string, size: number): SubnetPool => {
  const cidr = parseCidr(base);
  if (networkOf(cidr) !== cidr.address || !(size >= cidr.prefix && size <= 30)) {
    throw new NaruError(
      "invalid_argument",
      `invalid address pool "${base}" with size ${size}: the base must be a whole block, and the size a prefix length from its own up to 30`,
    );
  }
  return { base: cidr, size };
};

/**
 * Docker's: 172.17.0.0/16 … 172.31.0.0/16, then 192.168.0.0/20 … 192.168.240.0/20. They are soon used
 * up where many projects have networks of their own, so small blocks of a quiet range come after them.
 */
export const DEFAULT_POOLS: readonly SubnetPool[] = [
  ...Array.from({ length: 15 }, (_, index) => parsePool(`172.${17 + index}.0.0/16`, 16)),
  parsePool("192.168.0.0/16", 20),
  parsePool("10.192.0.0/10", 24),
];

export interface Subnet {
  readonly subnet: Cidr;
  readonly gateway: number;
}

/** First addresses of the pool's blocks that overlap none of `taken`, in order. */
const freeBlocks = ({ base, size }: SubnetPool, taken: readonly Cidr[]): number[] => {
  const step = sizeOf({ address: 0, prefix: size });
  const end = broadcastOf(base);
  const free: number[] = [];
  let next = networkOf(base);
  const obstacles = taken
    .filter((block) => overlaps(block, base))
    .toSorted((a, b) => networkOf(a) - networkOf(b));
  for (const block of obstacles) {
    for (; next + step <= networkOf(block); next += step) free.push(next);
    const past = broadcastOf(block) + 1;
    if (past > next) next = Math.ceil(past / step) * step;
  }
  for (; next <= end; next += step) free.push(next);
  return free;
};

/**
 * The first block that overlaps none of `taken`; `chance` (0 to below 1) picks another one of the same
 * pool, for a second try. Throws resource_exhausted.
 */
export const chooseSubnet = (
  taken: readonly Cidr[],
  chance = 0,
  pools: readonly SubnetPool[] = DEFAULT_POOLS,
): Subnet => {
  const all = pools.flatMap(({ base, size }, index) => {
    // The big last pool is looked at only when nothing else is free.
    const isLast = index === pools.length - 1 && index > 0;
    return isLast ? [] : freeBlocks({ base, size }, taken).map((address) => ({ address, size }));
  });
  const last = pools.at(-1);
  const free =
    all.length > 0 || last === undefined
      ? all
      : freeBlocks(last, taken).map((address) => ({ address, size: last.size }));
  const block = free[Math.floor(chance * free.length)];
  if (block === undefined) {
    throw new NaruError(
      "resource_exhausted",
      "all predefined address pools have been fully subnetted: every default subnet is in use on this host, name one (--subnet, or --bip for the default bridge) or give the daemon other pools (default-address-pools)",
    );
  }
  const subnet = { address: block.address, prefix: block.size };
  return { subnet, gateway: subnet.address + 1 };
};

/** `--bip 10.1.0.1/24`: the bridge's own address and the block around it. Throws invalid_argument. */
export const subnetOfBridgeIp = (bip: string): Subnet => {
  const cidr = parseCidr(bip);
  const network = networkOf(cidr);
  if (cidr.prefix > 29 || cidr.prefix < 8 || cidr.address === network) {
    throw new NaruError(
      "invalid_argument",
      `bridge address "${formatCidr(cidr)}" cannot be used: name a host address in a block of /8 to /29, such as 10.1.0.1/24`,
    );
  }
  return { subnet: { address: network, prefix: cidr.prefix }, gateway: cidr.address };
};
