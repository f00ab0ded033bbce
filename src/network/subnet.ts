/** Which addresses a new network takes: the first default block that nothing on this host uses. Pure. */
import { NaruError } from "#lib/errors.ts";
import { type Cidr, formatCidr, networkOf, overlaps, parseCidr } from "#network/ipv4.ts";

/** 172.17.0.0/16 … 172.31.0.0/16, then 192.168.0.0/20 … 192.168.240.0/20: Docker's default pools. */
const DEFAULT_SUBNETS: readonly Cidr[] = [
  ...Array.from({ length: 15 }, (_, index) => parseCidr(`172.${17 + index}.0.0/16`)),
  ...Array.from({ length: 16 }, (_, index) => parseCidr(`192.168.${16 * index}.0/20`)),
];

export interface Subnet {
  readonly subnet: Cidr;
  readonly gateway: number;
}

/**
 * The first default block that overlaps none of `taken`; `chance` (0 to below 1) picks another of
 * them, for a second try. Throws resource_exhausted.
 */
export const chooseSubnet = (taken: readonly Cidr[], chance = 0): Subnet => {
  const free = DEFAULT_SUBNETS.filter((block) => !taken.some((used) => overlaps(block, used)));
  const subnet = free[Math.floor(chance * free.length)];
  if (subnet === undefined) {
    throw new NaruError(
      "resource_exhausted",
      "all predefined address pools have been fully subnetted: every default subnet is in use on this host, name one with --bip",
    );
  }
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
