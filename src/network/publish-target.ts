/** Where a container's published ports lead to. Pure. */
import { gatewayEndpoint } from "#network/gateway.ts";
import type { BridgeRecord, PublishOrder } from "#network/network.ts";
import type { PublishTarget } from "#network/publisher.ts";

/** Ports go to the endpoint that the default route goes through; without one there are none. */
export const publishTargets = (
  order: PublishOrder,
  bridgeOf: (networkId: string) => BridgeRecord | undefined,
  { defaultHostIp = "0.0.0.0" }: { readonly defaultHostIp?: string },
): PublishTarget[] => {
  const endpoint = gatewayEndpoint(order.sandbox.endpoints);
  if (endpoint === undefined) return [];
  const bridge = bridgeOf(endpoint.networkId);
  // On the wire itself every port is open: there is nothing to lead there.
  if (bridge?.macvlan !== undefined) return [];
  const hostIp = bridge?.hostIp ?? defaultHostIp;
  return [{ ...order, endpoint, hostIp, isRouted6: bridge?.isRouted6 === true }];
};
