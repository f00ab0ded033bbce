/** The IPv6 part of a new network's record: what is asked is checked, the rest chosen. Pure. */
import { NaruError } from "#lib/errors.ts";
import {
  type Cidr6,
  chooseSubnet6,
  contains6,
  formatCidr6,
  formatIpv6,
  networkOf6,
  overlaps6,
  parseCidr6,
  parseIpv6,
} from "#network/ipv6.ts";
import type { BridgeRecord6, NetworkRecord } from "#network/network.ts";
import type { IpamConfig } from "#spec/docker/network.ts";

export interface Plan6 {
  readonly bridge: BridgeRecord6;
  readonly config: IpamConfig;
}

const check = (config: IpamConfig, subnet: Cidr6): void => {
  const text = config.Subnet ?? "";
  const wrong: string[] = [];
  const whole = formatCidr6({ ...subnet, address: networkOf6(subnet) });
  if (subnet.address !== networkOf6(subnet)) {
    wrong.push(`invalid subnet ${text}: it should be ${whole}`);
  }
  if (subnet.prefix > 126) wrong.push(`invalid subnet ${text}: it has no room for a container`);
  const inside = (what: string, given: string): void => {
    const address = parseIpv6(given);
    if (address !== undefined && contains6(subnet, address)) return;
    wrong.push(`invalid ${what}: parent subnet ${text} doesn't contain this address`);
  };
  if (config.Gateway) inside(`gateway ${config.Gateway}`, config.Gateway);
  for (const [name, address] of Object.entries(config.AuxiliaryAddresses ?? {})) {
    inside(`auxiliary address ${name}`, address);
  }
  if (config.IPRange) {
    const range = parseCidr6(config.IPRange);
    if (range.prefix < subnet.prefix || !contains6(subnet, networkOf6(range))) {
      wrong.push(
        `invalid ip-range ${config.IPRange}: parent subnet ${text} doesn't contain ip-range`,
      );
    }
  }
  if (wrong.length > 0) {
    throw new NaruError("invalid_argument", `invalid network config:\n${wrong.join("\n")}`);
  }
};

/** `base` is where subnets come from that nobody named. Throws as `planNetwork` does. */
export const planIpv6 = (
  given: IpamConfig | undefined,
  records: readonly NetworkRecord[],
  base: Cidr6,
): Plan6 => {
  const taken = records.flatMap(({ bridge }) =>
    bridge?.ipv6 === undefined ? [] : [parseCidr6(bridge.ipv6.subnet)],
  );
  const subnet =
    given?.Subnet === undefined ? chooseSubnet6(base, taken) : parseCidr6(given.Subnet);
  if (given !== undefined) check(given, subnet);
  if (given !== undefined && taken.some((other) => overlaps6(other, subnet))) {
    throw new NaruError(
      "permission_denied",
      "invalid pool request: Pool overlaps with other one on this address space",
    );
  }
  const reserved = Object.values(given?.AuxiliaryAddresses ?? {});
  let first = networkOf6(subnet) + 1n;
  while (reserved.some((address) => parseIpv6(address) === first)) first += 1n;
  const gateway = given?.Gateway ?? formatIpv6(first);
  const text = formatCidr6(subnet);
  return {
    bridge: {
      subnet: text,
      gateway,
      ...(given?.IPRange ? { range: given.IPRange } : {}),
      ...(reserved.length > 0 ? { reserved } : {}),
      ...(given === undefined ? {} : { isSubnetNamed: true as const }),
    },
    config: given === undefined ? { Subnet: text, Gateway: gateway } : { ...given, Subnet: text },
  };
};
