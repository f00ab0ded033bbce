/** Which of a sandbox's endpoints its default route goes through. Pure. */
import type { Endpoint } from "#network/network.ts";

/** The highest priority wins, then the first name; internal networks lead nowhere. */
export const gatewayEndpoint = (endpoints: readonly Endpoint[]): Endpoint | undefined =>
  endpoints
    .filter((endpoint) => endpoint.gateway !== "")
    .toSorted(
      (a, b) => b.gatewayPriority - a.gatewayPriority || (a.networkName < b.networkName ? -1 : 1),
    )[0];

/** The lowest name with this prefix that no endpoint has: "eth0", "eth1", … */
export const freeInterfaceName = (endpoints: readonly Endpoint[], prefix = "eth"): string => {
  const taken = new Set(endpoints.map((endpoint) => endpoint.name));
  let index = 0;
  while (taken.has(`${prefix}${index}`)) index += 1;
  return `${prefix}${index}`;
};
