/**
 * The instance's own nftables table as text for `nft -f`. Pure: the same networks give the same text.
 *
 * One table of family ip. The rules never change: what changes are elements of sets and maps, so a
 * packet costs the same few lookups however many networks and ports there are, and a change costs as
 * much as what it changes. Only the first packet of a connection meets the nat chains.
 *  - `bridges`       every bridge; `internal` those without a way out
 *  - `neighbours`    bridge . the same bridge: what may be forwarded without further question
 *  - `home`          bridge . its subnet: what turns back into the subnet it came from
 *  - `masqueraded`   subnets whose packets leave under the host's address
 *  - `published_at`  host address . protocol . port → container address . port
 *  - `published_any` protocol . port → container address . port, for every local address
 * Locally made connections (127.0.0.1 too) to published ports go the same way through the output hook;
 * what then leaves through a bridge with a loopback source, or turns back, is masqueraded.
 *
 * Networks are apart from each other: into a bridge come replies, published ports and neighbours.
 */
import type { PortProtocol } from "#spec/docker/ports.ts";

export interface FirewallNetwork {
  readonly linkName: string;
  /** "172.17.0.0/16" */
  readonly subnet: string;
  readonly isInternal?: boolean;
  readonly isMasqueradeOff?: boolean;
}

/** One element of a map. `hostIp` "0.0.0.0" = every address of the host. */
export interface PortForward {
  readonly hostIp: string;
  readonly hostPort: number;
  readonly protocol: PortProtocol;
  readonly ip: string;
  readonly port: number;
}

const SETS: readonly (readonly [name: string, type: string])[] = [
  ["bridges", "type ifname;"],
  ["internal", "type ifname;"],
  ["neighbours", "type ifname . ifname;"],
  ["home", "type ifname . ipv4_addr; flags interval;"],
  ["masqueraded", "type ipv4_addr; flags interval;"],
];

const MAPS: readonly (readonly [name: string, type: string])[] = [
  ["published_at", "type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service;"],
  ["published_any", "type inet_proto . inet_service : ipv4_addr . inet_service;"],
];

const CHAINS: readonly (readonly [name: string, hook: string])[] = [
  // Before connection tracking: here a reply to 127.0.0.1 still bears the bridge's own address.
  ["spoofed", "type filter hook prerouting priority -300; policy accept;"],
  ["published", ""],
  ["prerouting", "type nat hook prerouting priority -100; policy accept;"],
  ["output", "type nat hook output priority -100; policy accept;"],
  ["postrouting", "type nat hook postrouting priority 100; policy accept;"],
  ["forward", "type filter hook forward priority 0; policy accept;"],
];

const RULES: readonly (readonly [chain: string, rule: string])[] = [
  // route_localnet on the bridges opens the host's loopback to containers: shut it again.
  ["spoofed", "iifname @bridges ip daddr 127.0.0.0/8 drop"],
  ["published", "dnat to ip daddr . meta l4proto . th dport map @published_at"],
  ["published", "dnat to meta l4proto . th dport map @published_any"],
  // A neighbour who sends to 127.0.0.1 over the wire must not reach ports published there.
  ["prerouting", "ip daddr 127.0.0.0/8 return"],
  ["prerouting", "fib daddr type local jump published"],
  ["output", "fib daddr type local jump published"],
  ["postrouting", "oifname @bridges ip saddr 127.0.0.0/8 masquerade"],
  ["postrouting", "oifname . ip saddr @home ct status dnat masquerade"],
  ["postrouting", "oifname . ip saddr @home accept"],
  ["postrouting", "ip saddr @masqueraded masquerade"],
  ["forward", "iifname @internal oifname . iifname != @neighbours drop"],
  ["forward", "oifname != @bridges accept"],
  ["forward", "ct state established,related accept"],
  ["forward", "iifname . oifname @neighbours accept"],
  ["forward", "oifname @internal drop"],
  ["forward", "ct status dnat accept"],
  ["forward", "drop"],
];

/** What each network puts into which set. */
const setElements = (
  network: FirewallNetwork,
): readonly (readonly [set: string, item: string])[] => {
  const { linkName, subnet, isInternal = false, isMasqueradeOff = false } = network;
  const link = `"${linkName}"`;
  return [
    ["bridges", link],
    ...(isInternal ? ([["internal", link]] as const) : []),
    ["neighbours", `${link} . ${link}`],
    ["home", `${link} . ${subnet}`],
    ...(isInternal || isMasqueradeOff ? [] : ([["masqueraded", subnet]] as const)),
  ];
};

const inSets = (
  verb: "add" | "delete",
  table: string,
  networks: readonly FirewallNetwork[],
): string => {
  const all = networks.flatMap(setElements);
  return SETS.map(([set]) => {
    const items = all.filter(([name]) => name === set).map(([, item]) => item);
    return items.length === 0 ? "" : `${verb} element ip ${table} ${set} { ${items.join(", ")} }\n`;
  }).join("");
};

/** Brings the table to exactly these networks, whatever of it exists; published ports are left alone. */
export const renderTable = (table: string, networks: readonly FirewallNetwork[]): string => {
  const target = `ip ${table}`;
  const lines = [
    `add table ${target}`,
    ...SETS.map(([name, type]) => `add set ${target} ${name} { ${type} }`),
    ...MAPS.map(([name, type]) => `add map ${target} ${name} { ${type} }`),
    ...CHAINS.map(
      ([name, hook]) => `add chain ${target} ${name}${hook === "" ? "" : ` { ${hook} }`}`,
    ),
    ...SETS.map(([name]) => `flush set ${target} ${name}`),
    ...CHAINS.map(([name]) => `flush chain ${target} ${name}`),
    ...RULES.map(([chain, rule]) => `add rule ${target} ${chain} ${rule}`),
  ];
  return `${lines.join("\n")}\n${inSets("add", table, networks)}`;
};

/** One more network for the table that stands. */
export const renderNetwork = (table: string, network: FirewallNetwork): string =>
  inSets("add", table, [network]);

export const renderNetworkRemoval = (table: string, network: FirewallNetwork): string =>
  inSets("delete", table, [network]);

const key = (f: PortForward): string =>
  f.hostIp === "0.0.0.0"
    ? `${f.protocol} . ${f.hostPort}`
    : `${f.hostIp} . ${f.protocol} . ${f.hostPort}`;

const elements = (
  verb: "add" | "delete",
  table: string,
  forwards: readonly PortForward[],
): string => {
  const line = (map: string, group: readonly PortForward[]): string => {
    if (group.length === 0) return "";
    const items = group.map((f) => (verb === "add" ? `${key(f)} : ${f.ip} . ${f.port}` : key(f)));
    return `${verb} element ip ${table} ${map} { ${items.join(", ")} }\n`;
  };
  const isAny = (f: PortForward): boolean => f.hostIp === "0.0.0.0";
  return (
    line(
      "published_at",
      forwards.filter((f) => !isAny(f)),
    ) + line("published_any", forwards.filter(isAny))
  );
};

export const renderAdd = (table: string, forwards: readonly PortForward[]): string =>
  elements("add", table, forwards);

export const renderDelete = (table: string, forwards: readonly PortForward[]): string =>
  elements("delete", table, forwards);

/** All published ports at once, in place of whatever was published. */
export const renderReplace = (table: string, forwards: readonly PortForward[]): string =>
  `flush map ip ${table} published_at\nflush map ip ${table} published_any\n${renderAdd(table, forwards)}`;

/** Works whether the table exists or not. */
export const renderRemoval = (table: string): string =>
  `add table ip ${table}\ndelete table ip ${table}\n`;
