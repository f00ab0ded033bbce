/** What may be wished of an endpoint, in the words of Docker's refusals. Pure. */
import { NaruError } from "#lib/errors.ts";
import { broadcastOf, contains, networkOf, parseCidr, parseIpv4 } from "#network/ipv4.ts";
import { contains6, parseCidr6, parseIpv6 } from "#network/ipv6.ts";
import type { EndpointOrder, NetworkRecord } from "#network/network.ts";

export const IFNAME_OPTION = "com.docker.network.endpoint.ifname";
export const SYSCTLS_OPTION = "com.docker.network.endpoint.sysctls";

const refuse = (reason: string): never => {
  throw new NaruError("invalid_argument", `invalid endpoint settings:\n${reason}`);
};

/** Six bytes of a unicast address, in lower case with colons. */
export const macOrder = (mac: string): string => {
  const lower = mac.toLowerCase().replaceAll("-", ":");
  const first = Number.parseInt(lower.slice(0, 2), 16);
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(lower) || (first & 1) === 1) {
    throw new NaruError(
      "invalid_argument",
      `invalid MAC address "${mac}": six bytes of a unicast address are needed`,
    );
  }
  return lower;
};

/** Addresses can be named where the subnet was. */
export const checkAddress = (record: NetworkRecord, ip: string): void => {
  const { bridge } = record;
  const address = parseIpv4(ip);
  if (address === undefined) return refuse(`invalid IPv4 address: ${ip}`);
  if (bridge === undefined) return;
  if (record.ipam === undefined) {
    return refuse("user specified IP address is supported on user defined networks only");
  }
  const subnet = parseCidr(bridge.subnet);
  if (bridge.isSubnetNamed !== true) {
    return refuse(
      "user specified IP address is supported only when connecting to networks with user configured subnets",
    );
  }
  if (!contains(subnet, address)) {
    return refuse(`no configured subnet or ip-range contain the IP address ${ip}`);
  }
  if (address === networkOf(subnet) || address === broadcastOf(subnet)) {
    return refuse(`the IP address ${ip} stands for the whole subnet ${bridge.subnet}`);
  }
};

const checkAddress6 = (record: NetworkRecord, ip: string): void => {
  const address = parseIpv6(ip);
  if (address === undefined) return refuse(`invalid IPv6 address: ${ip}`);
  const ipv6 = record.bridge?.ipv6;
  if (ipv6 === undefined) {
    return refuse(`no configured subnet or ip-range contain the IP address ${ip}`);
  }
  if (ipv6.isSubnetNamed !== true) {
    return refuse(
      "user specified IP address is supported only when connecting to networks with user configured subnets",
    );
  }
  if (!contains6(parseCidr6(ipv6.subnet), address)) {
    return refuse(`no configured subnet or ip-range contain the IP address ${ip}`);
  }
};

export interface EndpointSysctl {
  /** With the interface's name in place: "net/ipv4/conf/eth0/log_martians". */
  readonly path: string;
  readonly value: string;
}

const SYSCTL = /^net\.(ipv4|ipv6|mpls)\.([a-z]+)\.(?:IFNAME|ifname)\.([\w.-]+)=(.+)$/;

/** "net.ipv4.conf.IFNAME.log_martians=1,…". Throws invalid_argument. */
export const endpointSysctls = (text: string, interfaceName: string): EndpointSysctl[] =>
  text.split(",").map((part) => {
    const [, family = "", kind = "", key = "", value = ""] = SYSCTL.exec(part) ?? [];
    if (family === "") {
      refuse(
        `unrecognised network interface sysctl '${part}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'`,
      );
    }
    return { path: `net/${family}/${kind}/${interfaceName}/${key}`, value };
  });

/** Throws invalid_argument for what the network cannot give, and for options that are not known. */
export const checkEndpointOrder = (record: NetworkRecord, order: EndpointOrder): void => {
  if (order.mac !== undefined) macOrder(order.mac);
  if (order.ip !== undefined) checkAddress(record, order.ip);
  if (order.ip6 !== undefined) checkAddress6(record, order.ip6);
  for (const [key, value] of Object.entries(order.options ?? {})) {
    if (key === SYSCTLS_OPTION) endpointSysctls(value, "eth0");
    else if (key === IFNAME_OPTION) {
      if (!/^[^\s/:]{1,15}$/.test(value)) refuse(`invalid interface name "${value}"`);
    } else if (key.startsWith("com.docker.network.")) {
      refuse(`endpoint option "${key}" is not supported`);
    }
  }
};
