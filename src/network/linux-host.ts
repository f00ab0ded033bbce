/** The machine as it is: this room's wishes in the kernel room's calls. */
import type { NamespaceKernel } from "#kernel/kernel.ts";
import type { LinkKernel, MacvlanMode } from "#kernel/link-kernel.ts";
import type { ApplyRuleset } from "#network/firewall-writer.ts";
import type { Cable, NetworkHost } from "#network/host.ts";
import { type Cidr, formatCidr, formatIpv4, macOf, parseCidr, requireIpv4 } from "#network/ipv4.ts";
import type { BridgeRecord } from "#network/network.ts";
import type { PortKernel } from "#network/port-reservations.ts";

/** Kernel settings by name, as `kernel/sysctl.ts` has them. */
export interface SysctlKernel {
  readSysctl(name: string): string;
  writeSysctl(name: string, value: string | number): void;
}

export interface LinuxHostParts {
  readonly namespaces: NamespaceKernel;
  readonly links: LinkKernel;
  readonly ports: PortKernel;
  readonly sysctl: SysctlKernel;
  /** One transaction in nft(8)'s language. */
  readonly applyRuleset: ApplyRuleset;
  readonly applyRulesetIn: (netnsPath: string, text: string) => Promise<void>;
}

const isThere = (text: string | undefined): text is string => text !== undefined;

const isV4 = (cidr: string): boolean => !cidr.includes(":");

const ensureSysctl = (sysctl: SysctlKernel, name: string, value: string): void => {
  if (sysctl.readSysctl(name) !== value) sysctl.writeSysctl(name, value);
};

const configure = (
  { namespaces, links, sysctl }: LinuxHostParts,
  netnsPath: string,
  cable: Cable,
): void => {
  // Without an IPv6 address of its own the endpoint should not make up a link-local one either.
  if (cable.address6 === undefined) {
    namespaces.inNetns(netnsPath, () =>
      sysctl.writeSysctl(`net/ipv6/conf/${cable.name}/disable_ipv6`, 1),
    );
  }
  links.configureEndpoint({
    netnsPath,
    name: cable.name,
    addresses: [formatCidr(cable.address), cable.address6].filter(isThere),
    gateways: [
      cable.gateway === undefined ? undefined : formatIpv4(cable.gateway),
      cable.gateway6,
    ].filter(isThere),
  });
};

const plug = (parts: LinuxHostParts, netnsPath: string, cable: Cable): void => {
  const { links } = parts;
  links.createVeth({
    hostName: cable.linkName,
    bridge: cable.bridge,
    isHairpin: true,
    isIsolated: cable.isIsolated,
    peerName: cable.name,
    netnsPath,
    peerMac: cable.mac,
    mtu: cable.mtu,
  });
  try {
    configure(parts, netnsPath, cable);
  } catch (error) {
    links.deleteLink(cable.linkName);
    throw error;
  }
};

const plugMacvlan = (
  parts: LinuxHostParts,
  netnsPath: string,
  cable: Cable,
  parent: string,
  mode: MacvlanMode,
): void => {
  const { links, namespaces } = parts;
  const { name, mac, mtu } = cable;
  links.createMacvlan({ parent, name, netnsPath, mac, mode, ...(mtu === 0 ? {} : { mtu }) });
  try {
    configure(parts, netnsPath, cable);
  } catch (error) {
    namespaces.inNetns(netnsPath, () => links.deleteLink(name));
    throw error;
  }
};

const createWiredNetns = (parts: LinuxHostParts, path: string, cable: Cable): void => {
  const { namespaces } = parts;
  namespaces.createNetns(path);
  try {
    plug(parts, path, cable);
  } catch (error) {
    namespaces.removeNetns(path);
    throw error;
  }
};

const bringBridgeUp = ({ links, sysctl }: LinuxHostParts, bridge: BridgeRecord): void => {
  const { linkName, gateway, mtu } = bridge;
  if (!links.linkExists(linkName)) {
    const address = `${gateway}/${parseCidr(bridge.subnet).prefix}`;
    const { ipv6 } = bridge;
    const address6 = ipv6 && `${ipv6.gateway}/${ipv6.subnet.split("/")[1] ?? ""}`;
    const addresses = [address, address6].filter(isThere);
    links.createBridge(linkName, { addresses, mtu, mac: macOf(requireIpv4(gateway)) });
  }
  // Connections from 127.0.0.1 to published ports leave and return through the bridge.
  ensureSysctl(sysctl, `net/ipv4/conf/${linkName}/route_localnet`, "1");
};

/** A link that takes routes from routers stops to when the host forwards, unless it is told to (2). */
const enableForwarding6 = ({ links, sysctl }: LinuxHostParts): void => {
  if (sysctl.readSysctl("net.ipv6.conf.all.forwarding") === "1") return;
  for (const { name, kind } of links.listLinks()) {
    const path = `net/ipv6/conf/${name}/accept_ra`;
    if (kind !== "veth" && kind !== "bridge" && sysctl.readSysctl(path) === "1") {
      sysctl.writeSysctl(path, 2);
    }
  }
  sysctl.writeSysctl("net.ipv6.conf.all.forwarding", 1);
};

export const createLinuxHost = (parts: LinuxHostParts): NetworkHost => {
  const { namespaces, links, ports, sysctl } = parts;
  return {
    takenBlocks: (): Cidr[] =>
      [...links.hostAddresses(), ...links.hostRoutes()].filter(isV4).map(parseCidr),
    addressesOf: (name) => (links.linkExists(name) ? links.hostAddresses(name).filter(isV4) : []),
    otherAddresses: (name) => {
      const own = new Set(links.hostAddresses(name));
      const seen = links.hostAddresses().filter(isV4);
      // The same address on another link counts: only one of a pair is our own.
      return seen.filter((cidr) => !own.delete(cidr)).map(parseCidr);
    },
    addresses: () =>
      links
        .hostAddresses()
        .map((cidr) => cidr.split("/")[0] ?? "")
        .filter((ip) => !ip.startsWith("127.") && ip !== "::1" && !ip.startsWith("fe80:")),
    hasLink: (name) => links.linkExists(name),
    linksNamed: (prefix) =>
      links
        .listLinks()
        .map((link) => link.name)
        .filter((name) => name.startsWith(prefix)),
    removeLinks: (names) => links.deleteLinks(names),
    bringBridgeUp: (bridge) => bringBridgeUp(parts, bridge),
    enableForwarding: () => ensureSysctl(sysctl, "net.ipv4.ip_forward", "1"),
    enableForwarding6: () => enableForwarding6(parts),
    isForwarding: () => sysctl.readSysctl("net.ipv4.ip_forward") === "1",
    createNetns: (path) => namespaces.createNetns(path),
    createWiredNetns: (path, cable) => createWiredNetns(parts, path, cable),
    plug: (netnsPath, cable) => plug(parts, netnsPath, cable),
    plugMacvlan: (netnsPath, cable, parent, mode) =>
      plugMacvlan(parts, netnsPath, cable, parent, mode),
    bringVlanUp: (name, { parent, id }) => {
      if (!links.linkExists(name)) links.createVlan(name, parent, id);
    },
    unplug: (netnsPath, name) => namespaces.inNetns(netnsPath, () => links.deleteLink(name)),
    setDefaultRoute: (netnsPath, name, gateway) =>
      links.replaceDefaultRoute(netnsPath, name, gateway),
    writeSysctls: (netnsPath, settings) =>
      namespaces.inNetns(netnsPath, () => {
        for (const { path, value } of settings) sysctl.writeSysctl(path, value);
      }),
    removeNetns: (path) => namespaces.removeNetns(path),
    applyRuleset: parts.applyRuleset,
    applyRulesetIn: parts.applyRulesetIn,
    inNetns: (netnsPath, work) => namespaces.inNetns(netnsPath, work),
    reservePort: (address, port, protocol, isShared) =>
      ports.reservePort(address, port, protocol, isShared),
    closePort: (fd) => ports.closePort(fd),
    sharePort: (fd, isShared) => ports.sharePort(fd, isShared),
  };
};
