/** IPv4 addresses as unsigned numbers and CIDR blocks (RFC 4632). Pure. */
import { NaruError } from "#lib/errors.ts";

export interface Cidr {
  /** First address of the block, or the address itself where a host's address is meant. */
  readonly address: number;
  /** 0..32 */
  readonly prefix: number;
}

export const formatIpv4 = (value: number): string =>
  `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;

/** Returns undefined for what is not a dotted quad. */
export const parseIpv4 = (text: string): number | undefined => {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let value = 0;
  for (const part of match.slice(1)) {
    if (Number(part) > 255) return undefined;
    value = value * 256 + Number(part);
  }
  return value;
};

export const requireIpv4 = (text: string): number => {
  const value = parseIpv4(text);
  if (value !== undefined) return value;
  throw new NaruError("invalid_argument", `invalid IPv4 address: "${text}"`);
};

/** Bitwise operators make signed numbers; `>>> 0` brings them back. */
export const maskOf = (prefix: number): number =>
  prefix === 0 ? 0 : (0xff_ff_ff_ff << (32 - prefix)) >>> 0;

export const networkOf = (cidr: Cidr): number => (cidr.address & maskOf(cidr.prefix)) >>> 0;

export const sizeOf = (cidr: Cidr): number => 2 ** (32 - cidr.prefix);

export const broadcastOf = (cidr: Cidr): number => networkOf(cidr) + sizeOf(cidr) - 1;

/** The first and the last address stand for the whole; not in blocks of two and of one (RFC 3021). */
export const hasOuterAddresses = (cidr: Cidr): boolean => cidr.prefix < 31;

export const contains = (block: Cidr, address: number): boolean =>
  (address & maskOf(block.prefix)) >>> 0 === networkOf(block);

export const overlaps = (a: Cidr, b: Cidr): boolean =>
  contains(a, networkOf(b)) || contains(b, networkOf(a));

/** "172.17.0.1/16", host bits kept. */
export const parseCidr = (text: string): Cidr => {
  const [quad = "", length = ""] = text.split("/");
  const address = parseIpv4(quad);
  const prefix = /^\d{1,2}$/.test(length) ? Number(length) : 99;
  if (address === undefined || prefix > 32) {
    throw new NaruError("invalid_argument", `invalid CIDR address: "${text}"`);
  }
  return { address, prefix };
};

export const formatCidr = (cidr: Cidr): string => `${formatIpv4(cidr.address)}/${cidr.prefix}`;

/** Docker's way: the locally administered 02:42 and the four bytes of the address. */
export const macOf = (address: number): string =>
  `02:42:${[24, 16, 8, 0].map((bits) => ((address >>> bits) & 255).toString(16).padStart(2, "0")).join(":")}`;
