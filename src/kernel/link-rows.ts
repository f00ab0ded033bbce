/** Rows of rtnetlink dumps as values. Pure. */
import { formatIp } from "#kernel/ip-bytes.ts";
import type { LinkCounters, LinkInfo } from "#kernel/link-kernel.ts";
import { type NetlinkReply, parseAttributes, readText, readU32 } from "#kernel/netlink.ts";
import { IFA, IFF_UP, IFLA, IFLA_INFO, RTA, RT_TABLE_LOCAL } from "#kernel/rtnetlink.ts";

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** struct rtnl_link_stats64: 64-bit counters, received before sent, one kind after the other. */
const countersOf = (bytes: Uint8Array | undefined): LinkCounters => {
  const view = bytes === undefined ? undefined : viewOf(bytes);
  const at = (index: number): number =>
    view === undefined ? 0 : Number(view.getBigUint64(index * 8, true));
  return {
    rxPackets: at(0),
    txPackets: at(1),
    rxBytes: at(2),
    txBytes: at(3),
    rxErrors: at(4),
    txErrors: at(5),
    rxDropped: at(6),
    txDropped: at(7),
  };
};

/** struct ifinfomsg and its attributes. */
export const parseLink = (row: NetlinkReply): LinkInfo => {
  const attributes = parseAttributes(row.payload.subarray(16));
  const info = attributes.get(IFLA.linkInfo);
  const mac = attributes.get(IFLA.address) ?? new Uint8Array();
  return {
    index: viewOf(row.payload).getInt32(4, true),
    name: readText(attributes.get(IFLA.name)) ?? "",
    kind: info === undefined ? undefined : readText(parseAttributes(info).get(IFLA_INFO.kind)),
    mac: [...mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":"),
    mtu: readU32(attributes.get(IFLA.mtu)) ?? 0,
    isUp: (viewOf(row.payload).getUint32(8, true) & IFF_UP) !== 0,
    masterIndex: readU32(attributes.get(IFLA.master)),
    counters: countersOf(attributes.get(IFLA.stats64)),
  };
};

export interface AddressRow {
  readonly index: number;
  readonly address: Uint8Array;
  readonly prefixLength: number;
}

/** struct ifaddrmsg. On a point-to-point link IFA_ADDRESS is the other side: the local one counts. */
export const parseAddress = (row: NetlinkReply): AddressRow => {
  const attributes = parseAttributes(row.payload.subarray(8));
  return {
    index: viewOf(row.payload).getUint32(4, true),
    address: attributes.get(IFA.local) ?? attributes.get(IFA.address) ?? new Uint8Array(4),
    prefixLength: row.payload[1] ?? 0,
  };
};

/** struct rtmsg. The destination, or undefined for default routes and the kernel's local table. */
export const parseRoute = (row: NetlinkReply): string | undefined => {
  const attributes = parseAttributes(row.payload.subarray(12));
  const prefixLength = row.payload[1] ?? 0;
  const table = readU32(attributes.get(RTA.table)) ?? row.payload[4];
  const destination = attributes.get(RTA.destination);
  if (destination === undefined || prefixLength === 0 || table === RT_TABLE_LOCAL) return undefined;
  return `${formatIp(destination)}/${prefixLength}`;
};
