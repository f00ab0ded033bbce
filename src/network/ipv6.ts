/** IPv6 addresses as numbers and CIDR blocks (RFC 4291), and the addresses of one subnet. */
import { NaruError, hasCode } from "#lib/errors.ts";
import { formatIp, parseIp } from "#kernel/ip-bytes.ts";

export interface Cidr6 {
  readonly address: bigint;
  /** 0..128 */
  readonly prefix: number;
}

/** undefined for what is no IPv6 address. */
export const parseIpv6 = (text: string): bigint | undefined => {
  if (!text.includes(":")) return undefined;
  try {
    return BigInt(`0x${Buffer.from(parseIp(text)).toString("hex")}`);
  } catch (error) {
    if (hasCode(error, "invalid_argument")) return undefined;
    throw error;
  }
};

export const requireIpv6 = (text: string): bigint => {
  const value = parseIpv6(text);
  if (value !== undefined) return value;
  throw new NaruError("invalid_argument", `invalid IPv6 address: "${text}"`);
};

export const formatIpv6 = (value: bigint): string =>
  formatIp(Buffer.from(value.toString(16).padStart(32, "0"), "hex"));

export const parseCidr6 = (text: string): Cidr6 => {
  const [ip = "", length = ""] = text.split("/");
  const address = parseIpv6(ip);
  const prefix = /^\d{1,3}$/.test(length) ? Number(length) : 999;
  if (address === undefined || prefix > 128) {
    throw new NaruError("invalid_argument", `invalid CIDR address: "${text}"`);
  }
  return { address, prefix };
};

export const formatCidr6 = ({ address, prefix }: Cidr6): string =>
  `${formatIpv6(address)}/${prefix}`;

const hostBits = ({ prefix }: Cidr6): bigint => BigInt(128 - prefix);

export const networkOf6 = (cidr: Cidr6): bigint =>
  (cidr.address >> hostBits(cidr)) << hostBits(cidr);

export const contains6 = (block: Cidr6, address: bigint): boolean =>
  address >> hostBits(block) === block.address >> hostBits(block);

export const overlaps6 = (a: Cidr6, b: Cidr6): boolean =>
  contains6(a, networkOf6(b)) || contains6(b, networkOf6(a));

/** More than these are never given out one after the other. */
const MAX_STEPS = 1n << 20n;

/** As `AddressPool`, for subnets too large for bits: what is in use is remembered, not what is free. */
export class AddressPool6 {
  readonly #block: Cidr6;
  readonly #range: Cidr6;
  /** Address → when its holder has gone; undefined while it is held. */
  readonly #used = new Map<bigint, (() => boolean) | undefined>();
  #next: bigint;

  constructor(block: Cidr6, range: Cidr6 = block) {
    this.#block = block;
    this.#range = range;
    this.#next = networkOf6(range);
    // The subnet's own name is the anycast address of its routers.
    this.#used.set(networkOf6(block), undefined);
  }

  /** Throws resource_exhausted. */
  allocate(): bigint {
    const first = networkOf6(this.#range);
    const size = 1n << hostBits(this.#range);
    for (let step = 0n; step < size && step < MAX_STEPS; step += 1n) {
      const candidate = this.#next;
      this.#next = candidate + 1n < first + size ? candidate + 1n : first;
      if (this.#isFree(candidate)) return this.#take(candidate);
    }
    throw new NaruError(
      "resource_exhausted",
      `no available IPv6 addresses on this network's address pools: "${formatCidr6(this.#block)}" is full`,
    );
  }

  /** Throws invalid_argument outside of the subnet, conflict when taken. */
  claim(address: bigint): bigint {
    if (!contains6(this.#block, address)) {
      throw new NaruError(
        "invalid_argument",
        `address "${formatIpv6(address)}" does not belong to the subnet "${formatCidr6(this.#block)}"`,
      );
    }
    if (!this.#isFree(address)) {
      throw new NaruError("conflict", `address "${formatIpv6(address)}" is already in use`);
    }
    return this.#take(address);
  }

  release(address: bigint, isGone: () => boolean): void {
    if (this.#used.has(address)) this.#used.set(address, isGone);
  }

  isResting(address: bigint): boolean {
    return this.#used.get(address)?.() === false;
  }

  #isFree(address: bigint): boolean {
    return !this.#used.has(address) || this.#used.get(address)?.() === true;
  }

  #take(address: bigint): bigint {
    this.#used.set(address, undefined);
    return address;
  }
}

/** A /48 of unique local addresses (RFC 4193) that is this instance's own, in blocks of /64. */
export const uniqueLocalBlock = (instanceId: string): Cidr6 => {
  const globalId = `6e61${instanceId}`.padEnd(10, "0").slice(-10);
  return { address: BigInt(`0xfd${globalId}`) << 80n, prefix: 48 };
};

/** The first /64 of `base` that overlaps none of `taken`. Throws resource_exhausted. */
export const chooseSubnet6 = (base: Cidr6, taken: readonly Cidr6[]): Cidr6 => {
  for (let index = 0n; index < 65_536n; index += 1n) {
    const block = { address: networkOf6(base) + (index << 64n), prefix: 64 };
    if (!taken.some((other) => overlaps6(other, block))) return block;
  }
  throw new NaruError("resource_exhausted", "all IPv6 subnets of this daemon are in use");
};
