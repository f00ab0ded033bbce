/**
 * The instance's own nftables table as text for `nft -f`. Pure: the same networks give the same text.
 *
 * One table a family. The rules never change: what changes are elements of sets and maps, so a
 * packet costs the same few lookups however many networks and ports there are, and a change costs as
 * much as what it changes. Only the first packet of a connection meets the nat chains.
 *  - `bridges`       every bridge; `internal` those without a way out
 *  - `neighbours`    bridge . the same bridge: what may be forwarded without further question
 *  - `home`          bridge . its subnet: what turns back into the subnet it came from
 *  - `masqueraded`   subnets whose packets leave under the host's address
 *  - `published_at`  host address . protocol . port → container address . port
 *  - `published_any` protocol . port → container address . port, for every local address
 *  - `routed`        bridges whose addresses other machines know a way to; `open` what they may reach
 *                    there: container address . protocol . port
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
  /** Reached under its own addresses, as far as ports are published. */
  readonly isRouted?: boolean;
}

/** A published port of a routed network. */
export interface OpenPort {
  readonly protocol: PortProtocol;
  readonly ip: string;
  readonly port: number;
}

/** One element of a map. `hostIp` "0.0.0.0" or "::" = every address of the host. */
export interface PortForward {
  readonly hostIp: string;
  readonly hostPort: number;
  readonly protocol: PortProtocol;
  readonly ip: string;
  readonly port: number;
}

/** Each family has a table of its own; that of IPv6 is there once a network needs it. */
export type Family = "ip" | "ip6";

const addressType = (family: Family): string => (family === "ip" ? "ipv4_addr" : "ipv6_addr");

const setsOf = (family: Family): readonly (readonly [name: string, type: string])[] => [
  ["bridges", "type ifname;"],
  ["internal", "type ifname;"],
  ["neighbours", "type ifname . ifname;"],
  ["home", `type ifname . ${addressType(family)}; flags interval;`],
  ["masqueraded", `type ${addressType(family)}; flags interval;`],
  ["routed", "type ifname;"],
];

/** Not filled by networks, but by what is published. */
const openSet = (family: Family): string =>
  `open { type ${addressType(family)} . inet_proto . inet_service; }`;

const mapsOf = (family: Family): readonly (readonly [name: string, type: string])[] => {
  const port = "inet_proto . inet_service";
  const target = `${addressType(family)} . inet_service`;
  return [
    ["published_at", `type ${addressType(family)} . ${port} : ${target};`],
    ["published_any", `type ${port} : ${target};`],
  ];
};

const SET_NAMES = setsOf("ip").map(([name]) => name);

const CHAINS: readonly (readonly [name: string, hook: string])[] = [
  // Before connection tracking: here a reply to 127.0.0.1 still bears the bridge's own address.
  ["spoofed", "type filter hook prerouting priority -300; policy accept;"],
  ["published", ""],
  ["prerouting", "type nat hook prerouting priority -100; policy accept;"],
  ["output", "type nat hook output priority -100; policy accept;"],
  ["postrouting", "type nat hook postrouting priority 100; policy accept;"],
  ["forward", "type filter hook forward priority 0; policy accept;"],
];

type Rules = readonly (readonly [chain: string, rule: string])[];

/** IPv4 alone has a loopback that can be routed (route_localnet). */
const LOOPBACK_RULES: Rules = [
  // route_localnet on the bridges opens the host's loopback to containers: shut it again.
  ["spoofed", "ip daddr 127.0.0.0/8 iifname @bridges drop"],
  // A neighbour who sends to 127.0.0.1 over the wire must not reach ports published there.
  ["prerouting", "ip daddr 127.0.0.0/8 return"],
  ["postrouting", "oifname @bridges ip saddr 127.0.0.0/8 masquerade"],
];

const rulesOf = (family: Family): Rules => [
  ...(family === "ip" ? LOOPBACK_RULES : ([["output", "ip6 daddr ::1 return"]] as const)),
  ["published", `dnat to ${family} daddr . meta l4proto . th dport map @published_at`],
  ["published", "dnat to meta l4proto . th dport map @published_any"],
  ["prerouting", "fib daddr type local jump published"],
  ["output", "fib daddr type local jump published"],
  ["postrouting", `oifname . ${family} saddr @home ct status dnat masquerade`],
  ["postrouting", `oifname . ${family} saddr @home accept`],
  ["postrouting", `${family} saddr @masqueraded masquerade`],
  ["forward", "iifname @internal oifname . iifname != @neighbours drop"],
  ["forward", "oifname != @bridges accept"],
  ["forward", "ct state established,related accept"],
  ["forward", "iifname . oifname @neighbours accept"],
  ["forward", "oifname @internal drop"],
  ["forward", "ct status dnat accept"],
  ["forward", `${family} daddr . meta l4proto . th dport @open accept`],
  ["forward", `oifname @routed meta l4proto ${family === "ip" ? "icmp" : "ipv6-icmp"} accept`],
  ["forward", "drop"],
];

/** What each network puts into which set. */
const setElements = (
  network: FirewallNetwork,
): readonly (readonly [set: string, item: string])[] => {
  const {
    linkName,
    subnet,
    isInternal = false,
    isMasqueradeOff = false,
    isRouted = false,
  } = network;
  const link = `"${linkName}"`;
  return [
    ["bridges", link],
    ...(isInternal ? ([["internal", link]] as const) : []),
    ["neighbours", `${link} . ${link}`],
    ["home", `${link} . ${subnet}`],
    ...(isInternal || isMasqueradeOff ? [] : ([["masqueraded", subnet]] as const)),
    ...(isRouted && !isInternal ? ([["routed", link]] as const) : []),
  ];
};

const inSets = (
  verb: "add" | "delete",
  target: string,
  networks: readonly FirewallNetwork[],
): string => {
  const all = networks.flatMap(setElements);
  return SET_NAMES.map((set) => {
    const items = all.filter(([name]) => name === set).map(([, item]) => item);
    return items.length === 0 ? "" : `${verb} element ${target} ${set} { ${items.join(", ")} }\n`;
  }).join("");
};

/** Brings the table to exactly these networks, whatever of it exists; published ports are left alone. */
export const renderTable = (
  table: string,
  networks: readonly FirewallNetwork[],
  family: Family = "ip",
): string => {
  const target = `${family} ${table}`;
  const lines = [
    `add table ${target}`,
    ...setsOf(family).map(([name, type]) => `add set ${target} ${name} { ${type} }`),
    `add set ${target} ${openSet(family)}`,
    ...mapsOf(family).map(([name, type]) => `add map ${target} ${name} { ${type} }`),
    ...CHAINS.map(
      ([name, hook]) => `add chain ${target} ${name}${hook === "" ? "" : ` { ${hook} }`}`,
    ),
    ...SET_NAMES.map((name) => `flush set ${target} ${name}`),
    ...CHAINS.map(([name]) => `flush chain ${target} ${name}`),
    ...rulesOf(family).map(([chain, rule]) => `add rule ${target} ${chain} ${rule}`),
  ];
  return `${lines.join("\n")}\n${inSets("add", target, networks)}`;
};

/** One more network for the table that stands. */
export const renderNetwork = (
  table: string,
  network: FirewallNetwork,
  family: Family = "ip",
): string => inSets("add", `${family} ${table}`, [network]);

export const renderNetworkRemoval = (
  table: string,
  network: FirewallNetwork,
  family: Family = "ip",
): string => inSets("delete", `${family} ${table}`, [network]);

const ANY_ADDRESS: readonly string[] = ["0.0.0.0", "::"];

const isAny = ({ hostIp }: PortForward): boolean => ANY_ADDRESS.includes(hostIp);

const key = (f: PortForward): string =>
  isAny(f) ? `${f.protocol} . ${f.hostPort}` : `${f.hostIp} . ${f.protocol} . ${f.hostPort}`;

const familyOf = (f: PortForward): Family => (f.hostIp.includes(":") ? "ip6" : "ip");

const elements = (
  verb: "add" | "delete",
  table: string,
  forwards: readonly PortForward[],
): string =>
  (["ip", "ip6"] as const)
    .flatMap((family) => {
      const own = forwards.filter((f) => familyOf(f) === family);
      const line = (map: string, group: readonly PortForward[]): string => {
        if (group.length === 0) return "";
        const items = group.map((f) =>
          verb === "add" ? `${key(f)} : ${f.ip} . ${f.port}` : key(f),
        );
        return `${verb} element ${family} ${table} ${map} { ${items.join(", ")} }\n`;
      };
      return [
        line(
          "published_at",
          own.filter((f) => !isAny(f)),
        ),
        line("published_any", own.filter(isAny)),
      ];
    })
    .join("");

export const renderAdd = (table: string, forwards: readonly PortForward[]): string =>
  elements("add", table, forwards);

export const renderDelete = (table: string, forwards: readonly PortForward[]): string =>
  elements("delete", table, forwards);

const openElements = (
  verb: "add" | "delete",
  table: string,
  ports: readonly OpenPort[],
): string => {
  const items = ports.map(({ ip, protocol, port }) => `${ip} . ${protocol} . ${port}`);
  return items.length === 0 ? "" : `${verb} element ip6 ${table} open { ${items.join(", ")} }\n`;
};

/** Ports of routed networks of IPv6: open to whoever finds the way there. */
export const renderOpen = (table: string, ports: readonly OpenPort[]): string =>
  openElements("add", table, ports);

export const renderShut = (table: string, ports: readonly OpenPort[]): string =>
  openElements("delete", table, ports);

/** All published ports at once, in place of whatever was published in the tables of these families. */
export const renderReplace = (
  table: string,
  forwards: readonly PortForward[],
  families: readonly Family[] = ["ip"],
): string => {
  const maps = families.flatMap((family) =>
    mapsOf(family).map(([name]) => `flush map ${family} ${table} ${name}\n`),
  );
  const sets = families.map((family) => `flush set ${family} ${table} open\n`);
  return `${[...maps, ...sets].join("")}${renderAdd(table, forwards)}`;
};

/** Works whether the tables exist or not. */
export const renderRemoval = (table: string): string =>
  (["ip", "ip6"] as const)
    .map((family) => `add table ${family} ${table}\ndelete table ${family} ${table}\n`)
    .join("");
