/** Subnets with the ranges, gateways and auxiliary addresses that lie in them. */
import { isIP, isIPv4 } from "#lib/ip-address.ts";
import { usageError } from "#cli/framework/errors.ts";

export interface PoolOptions {
  readonly subnets: readonly string[];
  readonly ranges: readonly string[];
  readonly gateways: readonly string[];
  readonly auxiliary: Readonly<Record<string, string>>;
}

export interface Pool {
  Subnet?: string;
  IPRange?: string;
  Gateway?: string;
  AuxiliaryAddresses?: Record<string, string>;
}

const bytesOf = (ip: string): number[] => {
  if (isIPv4(ip)) return ip.split(".").map(Number);
  const [head = "", tail] = ip.split("::");
  const groups = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const first = groups(head);
  const last = tail === undefined ? [] : groups(tail);
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => 0);
  return [...first, ...zeros, ...last].flatMap((group) => [group >> 8, group & 255]);
};

/** True when the address, or the network's first address, lies in the subnet. */
export const isInSubnet = (address: string, subnet: string): boolean => {
  const [ip = ""] = address.split("/");
  const [network = "", prefix = ""] = subnet.split("/");
  if (!isIP(ip) || !isIP(network) || isIPv4(ip) !== isIPv4(network)) return false;
  const [a, b] = [bytesOf(ip), bytesOf(network)];
  return b.every((byte, at) => {
    const bits = Math.min(8, Math.max(0, Number(prefix) - at * 8));
    const mask = (0xff << (8 - bits)) & 0xff;
    return (byte & mask) === ((a[at] ?? 0) & mask);
  });
};

const poolOf = (pools: readonly Pool[], address: string, what: string): Pool => {
  const pool = pools.find(({ Subnet }) => Subnet !== undefined && isInSubnet(address, Subnet));
  if (pool === undefined) throw usageError(`no matching subnet for ${what} ${address}`);
  return pool;
};

/** Throws a usage error that names what lies in no subnet, or twice in one. */
export const configurePools = (options: PoolOptions): Pool[] => {
  const pools: Pool[] = options.subnets.map((Subnet) => ({ Subnet }));
  for (const range of options.ranges) {
    const pool = poolOf(pools, range, "range");
    if (pool.IPRange !== undefined) {
      throw usageError(
        `cannot configure multiple ranges (${range}, ${pool.IPRange}) on the same subnet (${pool.Subnet ?? ""})`,
      );
    }
    pool.IPRange = range;
  }
  for (const gateway of options.gateways) {
    const pool = poolOf(pools, gateway, "gateway");
    if (pool.Gateway !== undefined) {
      throw usageError(
        `cannot configure multiple gateways (${gateway}, ${pool.Gateway}) for the same subnet (${pool.Subnet ?? ""})`,
      );
    }
    pool.Gateway = gateway;
  }
  for (const [name, address] of Object.entries(options.auxiliary)) {
    const pool = poolOf(pools, address, "aux-address");
    pool.AuxiliaryAddresses = { ...pool.AuxiliaryAddresses, [name]: address };
  }
  return pools;
};
