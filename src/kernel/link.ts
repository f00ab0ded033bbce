/** Interfaces, addresses and routes over rtnetlink. */
import { closeSync, existsSync, openSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import { withErrno } from "#kernel/errno.ts";
import { AF_INET, AF_INET6, formatIp } from "#kernel/ip-bytes.ts";
import type {
  BridgeOptions,
  EndpointOptions,
  LinkKernel,
  MacvlanOptions,
  VethOptions,
} from "#kernel/link-kernel.ts";
import { parseAddress, parseLink, parseRoute } from "#kernel/link-rows.ts";
import { namespaceKernel } from "#kernel/namespace.ts";
import { NLM } from "#kernel/netlink.ts";
import { type Step, ask, dump, transact } from "#kernel/netlink-socket.ts";
import {
  RTM,
  dumpAddresses,
  dumpLinks,
  dumpRoutes,
  getLinkByName,
  newAddress,
  newBridge,
  newMacvlan,
  newRoute,
  newVeth,
  newVlan,
  raiseLink,
  setBridgePort,
  deleteLinkByName,
} from "#kernel/rtnetlink.ts";

const MAX_NAME_BYTES = 15;

const checkName = (name: string): string => {
  if (/^[^\s/:]{1,15}$/.test(name) && Buffer.byteLength(name) <= MAX_NAME_BYTES) return name;
  throw new NaruError("invalid_argument", `"${name}" is not an interface name of 1 to 15 bytes`);
};

const linkIndex = (name: string): number | undefined => {
  try {
    const row = ask({ call: "find link", subject: name, request: getLinkByName(checkName(name)) });
    return parseLink(row).index;
  } catch (error) {
    if (error instanceof NaruError && error.details["errno"] === "ENODEV") return undefined;
    throw error;
  }
};

const requireIndex = (name: string): number => {
  const index = linkIndex(name);
  if (index !== undefined) return index;
  throw new NaruError("not_found", `the interface "${name}" does not exist`, {
    details: { errno: "ENODEV", call: "find link", path: name },
  });
};

const addressSteps = (index: number, addresses: readonly string[]): Step[] =>
  addresses.map((cidr) => ({
    call: "add address",
    subject: cidr,
    request: newAddress(index, cidr),
  }));

const createBridge = (name: string, options: BridgeOptions): void => {
  const { mac, mtu } = options;
  const request = newBridge({ name: checkName(name), mac, mtu });
  transact([{ call: "create bridge", subject: name, request }]);
  try {
    transact(addressSteps(requireIndex(name), options.addresses));
  } catch (error) {
    deleteLink(name);
    throw error;
  }
};

const PORT_CALL = "set bridge port";

const hasIpv6 = (): boolean => existsSync("/proc/net/if_inet6");

const portSteps = ({ hostName, bridge, isHairpin, isIsolated }: VethOptions): Step[] => {
  if (bridge === undefined) return [];
  const request = setBridgePort({
    name: hostName,
    isHairpin: isHairpin ?? false,
    isIsolated: isIsolated ?? false,
    hasIpv6: hasIpv6(),
  });
  return [{ call: PORT_CALL, subject: hostName, request }];
};

const createVeth = (options: VethOptions): void => {
  const { hostName, peerName, netnsPath, bridge, peerMac, mtu } = options;
  const masterIndex = bridge === undefined ? undefined : requireIndex(bridge);
  const netnsFd = withErrno("open", netnsPath, () => openSync(netnsPath, "r"));
  try {
    const request = newVeth({
      hostName: checkName(hostName),
      peerName: checkName(peerName),
      masterIndex,
      netnsFd,
      peerMac,
      mtu,
    });
    transact([{ call: "create veth", subject: hostName, request }, ...portSteps(options)]);
  } catch (error) {
    if (error instanceof NaruError && error.details["call"] === PORT_CALL) deleteLink(hostName);
    throw error;
  } finally {
    closeSync(netnsFd);
  }
};

const MACVLAN_MODES = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;

const createMacvlan = (options: MacvlanOptions): void => {
  const { parent, name, netnsPath, mac, mode, mtu } = options;
  const parentIndex = requireIndex(parent);
  const netnsFd = withErrno("open", netnsPath, () => openSync(netnsPath, "r"));
  try {
    const look = {
      name: checkName(name),
      parentIndex,
      mac,
      mode: MACVLAN_MODES[mode],
      mtu,
      netnsFd,
    };
    transact([{ call: "create macvlan", subject: parent, request: newMacvlan(look) }]);
  } finally {
    closeSync(netnsFd);
  }
};

const createVlan = (name: string, parent: string, id: number): void => {
  const request = newVlan(checkName(name), requireIndex(parent), id);
  transact([{ call: "create vlan", subject: name, request }]);
};

const defaultOf = (gateway: string): string => (gateway.includes(":") ? "::/0" : "0.0.0.0/0");

const configureEndpoint = (options: EndpointOptions): void => {
  const routes = [
    ...(options.routes ?? []),
    ...options.gateways.map((gateway) => ({ destination: defaultOf(gateway), gateway })),
  ];
  namespaceKernel.inNetns(options.netnsPath, () => {
    const index = requireIndex(options.name);
    transact([
      ...addressSteps(index, options.addresses),
      { call: "raise link", subject: options.name, request: raiseLink(index) },
      ...routes.map(({ destination, gateway }) => ({
        call: "add route",
        subject: destination,
        request: newRoute({ destination, gateway, index }),
      })),
    ]);
  });
};

const replaceDefaultRoute = (netnsPath: string, name: string, gateway: string): void => {
  namespaceKernel.inNetns(netnsPath, () => {
    const route = newRoute({ destination: defaultOf(gateway), gateway, index: requireIndex(name) });
    const request = { ...route, flags: NLM.create | NLM.replace };
    transact([{ call: "replace route", subject: gateway, request }]);
  });
};

const deleteLink = (name: string): void => {
  try {
    transact([{ call: "delete link", subject: name, request: deleteLinkByName(checkName(name)) }]);
  } catch (error) {
    if (!(error instanceof NaruError) || error.details["errno"] !== "ENODEV") throw error;
  }
};

const deleteLinks = async (names: readonly string[], signal?: AbortSignal): Promise<void> => {
  if (names.length === 0) return;
  const batch = names.map((name) => `link delete dev ${checkName(name)}\n`).join("");
  const child = Bun.spawn(["ip", "-force", "-batch", "-"], {
    stdin: Buffer.from(batch),
    stdout: "ignore",
    stderr: "pipe",
    ...(signal === undefined ? {} : { signal }),
  });
  const [text] = await Promise.all([child.stderr.text(), child.exited]);
  signal?.throwIfAborted();
  // "-force" goes on after a missing one; whether all are gone is asked of the kernel.
  const left = names.filter((name) => linkIndex(name) !== undefined);
  if (left.length === 0) return;
  const why = text.trim().split("\n")[0] ?? "";
  throw new NaruError(
    "internal",
    `the interfaces "${left.join('", "')}" could not be deleted: ${why}`,
  );
};

const linkRows = () => dump({ call: "list links", subject: "links", request: dumpLinks });

const hostAddresses = (name?: string): string[] => {
  const index = name === undefined ? undefined : requireIndex(name);
  return dump({ call: "list addresses", subject: name ?? "addresses", request: dumpAddresses })
    .map(parseAddress)
    .filter((row) => index === undefined || row.index === index)
    .map((row) => `${formatIp(row.address)}/${row.prefixLength}`);
};

const hostRoutes = (): string[] => {
  const rows = [AF_INET, AF_INET6].flatMap((family) =>
    dump({ call: "list routes", subject: "routes", request: dumpRoutes(family as 2 | 10) }),
  );
  const destinations = rows
    .filter((row) => row.type === RTM.newRoute)
    .map(parseRoute)
    .flatMap((row) => (row === undefined ? [] : [row]));
  return [...new Set(destinations)];
};

export const createLinkKernel = (): LinkKernel => ({
  createBridge,
  createVeth,
  createMacvlan,
  createVlan,
  configureEndpoint,
  replaceDefaultRoute,
  deleteLink,
  deleteLinks,
  linkExists: (name) => linkIndex(name) !== undefined,
  linkIndex,
  listLinks: (netnsPath) =>
    (netnsPath === undefined ? linkRows() : namespaceKernel.inNetns(netnsPath, linkRows)).map(
      parseLink,
    ),
  hostAddresses,
  hostRoutes,
});
