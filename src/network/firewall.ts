/**
 * The instance's own nftables table as text for `nft -f`. Pure: the same networks give the same text.
 *
 * One table of family ip. Published ports are elements of two maps, so a packet costs two lookups however
 * many ports there are, and only the first packet of a connection meets them at all (nat hook).
 *  - `published_at`  host address . protocol . port → container address . port
 *  - `published_any` protocol . port → container address . port, for every local address
 * Locally made connections (127.0.0.1 too) go the same way through the output hook; what leaves
 * through a bridge with a loopback source, or turns back into the subnet it came from, is masqueraded.
 */
import type { PortProtocol } from "#spec/docker/ports.ts";

export interface FirewallNetwork {
  readonly linkName: string;
  /** "172.17.0.0/16" */
  readonly subnet: string;
}

/** One element of a map. `hostIp` "0.0.0.0" = every address of the host. */
export interface PortForward {
  readonly hostIp: string;
  readonly hostPort: number;
  readonly protocol: PortProtocol;
  readonly ip: string;
  readonly port: number;
}

const CHAINS: readonly (readonly [name: string, hook: string])[] = [
  // Before connection tracking: here a reply to 127.0.0.1 still bears the bridge's own address.
  ["spoofed", "type filter hook prerouting priority -300; policy accept;"],
  ["published", ""],
  ["prerouting", "type nat hook prerouting priority -100; policy accept;"],
  ["output", "type nat hook output priority -100; policy accept;"],
  ["postrouting", "type nat hook postrouting priority 100; policy accept;"],
  ["forward", "type filter hook forward priority 0; policy accept;"],
];

const rulesOf = (networks: readonly FirewallNetwork[]): readonly (readonly [string, string])[] => [
  // route_localnet on the bridge opens the host's loopback to containers: shut it again.
  ...networks.map((n) => ["spoofed", `iifname "${n.linkName}" ip daddr 127.0.0.0/8 drop`] as const),
  ["published", "dnat to ip daddr . meta l4proto . th dport map @published_at"],
  ["published", "dnat to meta l4proto . th dport map @published_any"],
  // A neighbour who sends to 127.0.0.1 over the wire must not reach ports published there.
  ["prerouting", "ip daddr 127.0.0.0/8 return"],
  ["prerouting", "fib daddr type local jump published"],
  ["output", "fib daddr type local jump published"],
  ...networks.flatMap(({ linkName, subnet }) => [
    ["postrouting", `oifname "${linkName}" ip saddr 127.0.0.0/8 masquerade`] as const,
    ["postrouting", `oifname "${linkName}" ip saddr ${subnet} ct status dnat masquerade`] as const,
    ["postrouting", `oifname != "${linkName}" ip saddr ${subnet} masquerade`] as const,
  ]),
  // Into a bridge come replies, published ports, and neighbours on the same bridge; nothing else.
  ...networks.flatMap(({ linkName }) => [
    ["forward", `oifname "${linkName}" ct state established,related accept`] as const,
    ["forward", `oifname "${linkName}" ct status dnat accept`] as const,
    ["forward", `oifname "${linkName}" iifname "${linkName}" accept`] as const,
    ["forward", `oifname "${linkName}" drop`] as const,
  ]),
];

/** Brings the table to exactly these networks, whatever of it exists; published ports are left alone. */
export const renderTable = (table: string, networks: readonly FirewallNetwork[]): string => {
  const target = `ip ${table}`;
  const lines = [
    `add table ${target}`,
    `add map ${target} published_at { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }`,
    `add map ${target} published_any { type inet_proto . inet_service : ipv4_addr . inet_service; }`,
    ...CHAINS.map(
      ([name, hook]) => `add chain ${target} ${name}${hook === "" ? "" : ` { ${hook} }`}`,
    ),
    ...CHAINS.map(([name]) => `flush chain ${target} ${name}`),
    ...rulesOf(networks).map(([chain, rule]) => `add rule ${target} ${chain} ${rule}`),
  ];
  return `${lines.join("\n")}\n`;
};

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
