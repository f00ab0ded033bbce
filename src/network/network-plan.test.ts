import { expect, test } from "bun:test";
import { freeInterfaceName, gatewayEndpoint } from "#network/gateway.ts";
import { parseCidr } from "#network/ipv4.ts";
import {
  AddressPool6,
  formatIpv6,
  parseCidr6,
  requireIpv6,
  uniqueLocalBlock,
} from "#network/ipv6.ts";
import type { Endpoint, NetworkRecord } from "#network/network.ts";
import { endpointSysctls } from "#network/endpoint-order.ts";
import { type PlanContext, planNetwork } from "#network/network-plan.ts";
import { chooseSubnet, parsePool } from "#network/subnet.ts";
import type { NetworkCreateRequest } from "#spec/docker/network.ts";

const context = (records: readonly NetworkRecord[] = [], taken: readonly string[] = []) =>
  ({
    id: "ab".repeat(32),
    createdAt: "2026-01-02T03:04:05Z",
    records,
    takenBlocks: () => taken.map(parseCidr),
    pools: [parsePool("172.18.0.0/15", 16), parsePool("10.0.0.0/24", 28)],
    linkName: "nr0123450",
    mtu: 1500,
    chance: 0,
    base6: parseCidr6("fd00:1::/48"),
  }) satisfies PlanContext;

const plan = (request: Partial<NetworkCreateRequest>, with_ = context()): NetworkRecord =>
  planNetwork({ Name: "own", ...request }, with_);

test("nothing asked: the first free block, its first address", () => {
  const { bridge, ipam, driver } = plan({}, context([], ["172.18.3.0/24"]));
  expect(driver).toBe("bridge");
  expect(bridge).toEqual({
    linkName: "nr0123450",
    subnet: "172.19.0.0/16",
    gateway: "172.19.0.1",
    mtu: 1500,
  });
  expect(ipam).toEqual({
    options: null,
    config: [{ Subnet: "172.19.0.0/16", Gateway: "172.19.0.1" }],
  });
});

test("everything asked is in the record", () => {
  const { bridge, ipam, isAttachable } = plan({
    Internal: true,
    Attachable: true,
    IPAM: {
      Config: [
        {
          Subnet: "10.5.0.0/16",
          IPRange: "10.5.7.0/24",
          AuxiliaryAddresses: { router: "10.5.0.1" },
        },
      ],
    },
    Options: {
      "com.docker.network.bridge.name": "lan0",
      "com.docker.network.bridge.enable_icc": "false",
      "com.docker.network.bridge.enable_ip_masquerade": "0",
      "com.docker.network.bridge.host_binding_ipv4": "127.0.0.1",
      "com.docker.network.driver.mtu": "1400",
      "com.docker.network.container_iface_prefix": "net",
      "somebody.else": "kept",
    },
  });
  expect(isAttachable).toBe(true);
  expect(ipam?.config[0]?.Gateway).toBeUndefined();
  expect(bridge).toEqual({
    linkName: "lan0",
    subnet: "10.5.0.0/16",
    gateway: "10.5.7.0",
    mtu: 1400,
    isIccOff: true,
    isMasqueradeOff: true,
    hostIp: "127.0.0.1",
    interfacePrefix: "net",
    range: "10.5.7.0/24",
    reserved: ["10.5.0.1"],
    isSubnetNamed: true,
    isInternal: true,
  });
});

test("the gateway that nobody named, as Docker chooses it; it is not shown", () => {
  const gatewayOf = (Subnet: string, rest = {}) => {
    const { bridge, ipam } = plan({ IPAM: { Config: [{ Subnet, ...rest }] } });
    expect(ipam?.config).toEqual([{ Subnet, ...rest }]);
    return bridge?.gateway;
  };
  expect(gatewayOf("10.77.0.0/16")).toBe("10.77.0.1");
  expect(gatewayOf("10.77.0.0/16", { IPRange: "10.77.0.0/24" })).toBe("10.77.0.1");
  expect(gatewayOf("10.77.0.0/16", { IPRange: "10.77.2.0/24" })).toBe("10.77.2.0");
  expect(gatewayOf("10.77.0.0/31")).toBe("10.77.0.0");
  expect(gatewayOf("10.77.0.0/31", { Gateway: "10.77.0.1" })).toBe("10.77.0.1");
  expect(gatewayOf("10.77.0.0/32")).toBe("10.77.0.0");
  const full = { AuxiliaryAddresses: { a: "10.77.0.0" } };
  expect(() => gatewayOf("10.77.0.0/32", full)).toThrow("leave none for the gateway");
});

test("two networks on the wire of one interface are refused", () => {
  const lan = { Driver: "macvlan", Options: { parent: "eth0" } };
  const first = plan(lan);
  expect(() => plan({ Name: "two", ...lan }, context([first]))).toThrow(
    "network own is already using parent interface eth0",
  );
});

test("a second family, from the daemon's own block or as asked", () => {
  const first = plan({ EnableIPv6: true });
  expect(first.bridge?.ipv6).toEqual({ subnet: "fd00:1::/64", gateway: "fd00:1::1" });
  expect(first.ipam?.config[1]).toEqual({ Subnet: "fd00:1::/64", Gateway: "fd00:1::1" });
  const more = {
    EnableIPv6: true,
    IPAM: { Config: [{ Subnet: "10.5.0.0/24" }, { Subnet: "fd00:2::/64", Gateway: "fd00:2::9" }] },
  };
  const { bridge } = plan({ Name: "two", ...more }, context([first]));
  expect(bridge?.ipv6).toEqual({
    subnet: "fd00:2::/64",
    gateway: "fd00:2::9",
    isSubnetNamed: true,
  });
  expect(plan({ Name: "3", EnableIPv6: true }, context([first])).bridge?.ipv6?.subnet).toBe(
    "fd00:1:0:1::/64",
  );
});

test("IPv6 addresses", () => {
  expect(formatIpv6(requireIpv6("FD00:0:0::0:5"))).toBe("fd00::5");
  const pool = new AddressPool6(parseCidr6("fd00::/126"));
  pool.claim(requireIpv6("fd00::1"));
  expect([pool.allocate(), pool.allocate()].map(formatIpv6)).toEqual(["fd00::2", "fd00::3"]);
  expect(() => pool.allocate()).toThrow("full");
  expect(() => pool.claim(requireIpv6("fd01::1"))).toThrow("does not belong");
  pool.release(requireIpv6("fd00::2"), () => true);
  expect(formatIpv6(pool.allocate())).toBe("fd00::2");
  expect(uniqueLocalBlock("0a1b2c").address >> 80n).toBe(0xfd6e610a1b2cn);
});

const subnet = (Subnet: string, more: object = {}): Partial<NetworkCreateRequest> => ({
  IPAM: { Config: [{ Subnet, ...more }] },
});

const REFUSALS: readonly [request: Partial<NetworkCreateRequest>, words: string][] = [
  [{ Name: " " }, "invalid name: name is empty"],
  [{ Name: "host" }, "operation is not permitted on predefined host network"],
  [{ Name: "there" }, "network with name there already exists"],
  [{ Driver: "overlay" }, 'network driver "overlay" is not supported'],
  [{ Driver: "ipvlan" }, 'network driver "ipvlan" is not supported'],
  [{ Driver: "weave" }, 'could not find network driver "weave"'],
  [{ Driver: "null" }, 'only one instance of "null" network is allowed'],
  [{ Scope: "swarm" }, 'network scope "swarm" is not supported'],
  [{ IPAM: { Driver: "dhcp" } }, 'IPAM driver "dhcp" is not supported'],
  [subnet("10.1.5.0/16"), "invalid subnet 10.1.5.0/16: it should be 10.1.0.0/16"],
  [subnet("10.1.0.0/33"), "invalid CIDR address"],
  [subnet("10.9.128.0/17"), "Pool overlaps with other one on this address space"],
  [
    subnet("10.1.0.0/24", { Gateway: "10.2.0.1" }),
    "parent subnet 10.1.0.0/24 doesn't contain this",
  ],
  [subnet("10.1.0.0/24", { IPRange: "10.1.0.0/16" }), "CIDR block is bigger than its parent"],
  [subnet("10.1.0.0/24", { IPRange: "10.2.0.0/28" }), "doesn't contain ip-range"],
  [
    { IPAM: { Config: [{ Subnet: "10.1.0.0/24" }, { Subnet: "10.2.0.0/24" }] } },
    "multiple subnets",
  ],
  [subnet("fd00::/64"), "needs an IPv6 network"],
  [{ EnableIPv6: true, ...subnet("fd00::5/64") }, "it should be fd00::/64"],
  [{ EnableIPv6: true, ...subnet("fd00::/64", { Gateway: "fd01::1" }) }, "parent subnet fd00::/64"],
  [{ Options: { "com.docker.network.driver.mtu": "big" } }, "failed to parse"],
  [{ Options: { "com.docker.network.bridge.name": "a/b" } }, "failed to parse"],
  [{ Options: { "com.docker.network.bridge.nonsense": "1" } }, "is not supported"],
  [{ ConfigFrom: { Network: "there" } }, 'configuration network "there" does not exist'],
  [{ ConfigOnly: true, Internal: true }, "can only contain network specific fields"],
];

test.each(REFUSALS)("%j: %s", (request, words) => {
  const there = plan({ Name: "there", ...subnet("10.9.0.0/16") });
  expect(() => plan(request, context([there]))).toThrow(words);
});

test("settings of another network", () => {
  const settings = plan({ ConfigOnly: true, Labels: { a: "b" }, ...subnet("10.7.0.0/24") });
  expect([settings.driver, settings.isConfigOnly, settings.bridge]).toEqual([
    "null",
    true,
    undefined,
  ]);
  const request = { Name: "real", ConfigFrom: { Network: "own" } };
  const made = plan(request, context([settings]));
  expect([made.bridge?.subnet, made.labels, made.configFrom]).toEqual([
    "10.7.0.0/24",
    { a: "b" },
    "own",
  ]);
  expect(() => plan({ ...request, Labels: { c: "d" } }, context([settings]))).toThrow(
    "user-specified configurations are not supported",
  );
});

test("pools are used up block by block, around what is there", () => {
  const pools = [parsePool("10.0.0.0/24", 26), parsePool("10.1.0.0/24", 25)];
  const taken = ["10.0.0.0/27", "10.0.0.130/32", "10.1.0.0/25"].map(parseCidr);
  expect(chooseSubnet(taken, 0, pools).subnet).toEqual(parseCidr("10.0.0.64/26"));
  expect(chooseSubnet(taken, 0.9, pools).subnet).toEqual(parseCidr("10.0.0.192/26"));
  const more = [...taken, parseCidr("10.0.0.0/24")];
  expect(chooseSubnet(more, 0, pools).subnet).toEqual(parseCidr("10.1.0.128/25"));
  const all = [...more, parseCidr("10.0.0.0/8")];
  expect(() => chooseSubnet(all, 0, pools)).toThrow("fully subnetted");
  expect(() => parsePool("10.0.0.0/24", 16)).toThrow("invalid address pool");
});

const endpoint = (networkName: string, gateway: string, gatewayPriority = 0, name = "eth0") =>
  ({ networkName, gateway, gatewayPriority, name }) as Endpoint;

test("the default route: priority, then name; never an internal network", () => {
  const [a, b, inner] = [
    endpoint("a", "10.0.0.1"),
    endpoint("b", "10.1.0.1"),
    endpoint("_", "", 100),
  ];
  expect(gatewayEndpoint([b, inner, a])).toBe(a);
  const high = endpoint("z", "10.2.0.1", 5);
  expect(gatewayEndpoint([a, b, high])).toBe(high);
  expect(gatewayEndpoint([inner])).toBeUndefined();
  const used = [endpoint("a", "", 0, "eth0"), endpoint("b", "", 0, "eth2")];
  expect(freeInterfaceName(used)).toBe("eth1");
  expect(freeInterfaceName(used, "net")).toBe("net0");
});

test("settings of one interface", () => {
  expect(endpointSysctls("net.ipv4.conf.IFNAME.log_martians=1", "eth3")).toEqual([
    { path: "net/ipv4/conf/eth3/log_martians", value: "1" },
  ]);
  expect(() => endpointSysctls("net.core.somaxconn=1", "eth0")).toThrow("unrecognised");
});
