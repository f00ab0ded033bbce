/**
 * Looks for what on the host hinders containers' traffic. A packet is accepted only when every table
 * accepts it, and this room changes no table but its own: so others' refusals are found and told.
 */
import { readFileSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { Finding } from "#network/network.ts";

/** A base chain: one that the kernel calls by itself. */
export interface FirewallChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook: string;
  readonly policy: string;
}

export type ReadChains = () => Promise<readonly FirewallChain[]>;

interface ChainRow {
  readonly chain?: {
    readonly family: string;
    readonly table: string;
    readonly name: string;
    readonly hook?: string;
    readonly policy?: string;
  };
}

/** Tables of the old iptables, which nft(8) does not show. */
const legacyTables = (): string[] => {
  try {
    return readFileSync("/proc/net/ip_tables_names", "utf8").split("\n").filter(Boolean);
  } catch {
    return []; // The file is there only while the old module is loaded.
  }
};

/** All base chains of the host. Throws `unavailable` when nft(8) fails. */
export const readChains: ReadChains = async () => {
  const child = Bun.spawn(["nft", "-j", "list", "chains"], { stdout: "pipe", stderr: "pipe" });
  const [text, complaint, status] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  if (status !== 0) {
    throw new NaruError("unavailable", `"nft list chains" failed: ${complaint.trim()}`);
  }
  const rows = (JSON.parse(text) as { nftables: ChainRow[] }).nftables;
  const legacy = legacyTables().map((table) => ({
    family: "ip (iptables-legacy)",
    table,
    name: "FORWARD",
    hook: table === "filter" ? "forward" : "",
    policy: "unknown",
  }));
  return [
    ...rows.flatMap(({ chain }) =>
      chain?.hook === undefined ? [] : [{ ...chain, hook: chain.hook, policy: chain.policy ?? "" }],
    ),
    ...legacy,
  ];
};

export interface HostState {
  readonly linkName: string;
  readonly table: string;
  readonly hasBridge: boolean;
  readonly isForwarding: boolean;
  readonly chains: readonly FirewallChain[];
}

const dropRemedy = (chain: FirewallChain, linkName: string): string =>
  chain.name === "FORWARD" && chain.table === "filter"
    ? `let the bridge through: iptables -I FORWARD -i ${linkName} -j ACCEPT; iptables -I FORWARD -o ${linkName} -j ACCEPT`
    : `let the bridge through: nft insert rule ${chain.family} ${chain.table} ${chain.name} iifname ${linkName} accept; nft insert rule ${chain.family} ${chain.table} ${chain.name} oifname ${linkName} accept`;

/** Pure. */
export const findHindrances = (state: HostState): Finding[] => {
  const findings: Finding[] = [];
  if (!state.hasBridge) {
    findings.push({
      subject: state.linkName,
      problem: "the bridge of the default network is gone: containers cannot reach anything",
      remedy: "restart the daemon, then the containers",
    });
  }
  if (!state.isForwarding) {
    findings.push({
      subject: "net.ipv4.ip_forward",
      problem:
        "forwarding was switched off after the daemon's start: containers reach only this host",
      remedy: "sysctl -w net.ipv4.ip_forward=1",
    });
  }
  if (!state.chains.some((chain) => chain.table === state.table)) {
    findings.push({
      subject: state.table,
      problem:
        "the firewall table with the published ports is gone (a tool flushed the whole ruleset): ports do not answer",
      remedy: "restart the daemon; containers run on meanwhile",
    });
  }
  for (const chain of state.chains) {
    if (chain.hook !== "forward" || chain.table === state.table) continue;
    if (chain.policy === "accept" || !chain.family.startsWith("i")) continue;
    const subject = `${chain.family} ${chain.table} ${chain.name}`;
    const remedy = dropRemedy(chain, state.linkName);
    const problem =
      chain.policy === "drop"
        ? "this chain drops forwarded packets by default: containers reach nothing outside, and published ports do not answer from elsewhere"
        : "this chain belongs to the old iptables: its rules may drop containers' packets";
    findings.push({ subject, problem, remedy });
  }
  return findings;
};
