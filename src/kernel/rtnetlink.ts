/** The requests of rtnetlink(7) that naru makes, as data. Pure; the numbers are the kernel's. */
import {
  AF_INET,
  AF_INET6,
  type IpPrefix,
  broadcastOf,
  parseIp,
  parsePrefix,
} from "#kernel/ip-bytes.ts";
import {
  type Attribute,
  NLM,
  type NetlinkRequest,
  attributesBytes,
  u32,
  zeroEnded,
} from "#kernel/netlink.ts";

export const RTM = {
  newLink: 16,
  delLink: 17,
  getLink: 18,
  newAddress: 20,
  getAddress: 22,
  newRoute: 24,
  getRoute: 26,
} as const;

export const IFLA = {
  address: 1,
  name: 3,
  mtu: 4,
  link: 5,
  master: 10,
  linkInfo: 18,
  stats64: 23,
  afSpec: 26,
  netnsFd: 28,
  numTxQueues: 31,
  numRxQueues: 32,
} as const;

export const IFLA_INFO = { kind: 1, data: 2, slaveKind: 4, slaveData: 5 } as const;
const IFLA_BRPORT = { hairpin: 4, isolated: 33 } as const;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;
const VETH_INFO_PEER = 1;
const MACVLAN_MODE = 1;
export const IFA = { address: 1, local: 2, broadcast: 4, flags: 8 } as const;
export const RTA = { destination: 1, oif: 4, gateway: 5, table: 15 } as const;

export const IFF_UP = 1;
const IFA_F_NODAD = 2;
export const RT_TABLE_MAIN = 254;
export const RT_TABLE_LOCAL = 255;
const RTPROT_STATIC = 4;
export const RTN_UNICAST = 1;
const RT_SCOPE_LINK = 253;

const CREATE = NLM.create | NLM.exclusive;

export interface LinkBody {
  readonly index?: number;
  readonly isUp?: boolean;
}

/** struct ifinfomsg */
const linkBody = ({ index = 0, isUp = false }: LinkBody = {}): Uint8Array => {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setInt32(4, index, true);
  view.setUint32(8, isUp ? IFF_UP : 0, true);
  view.setUint32(12, isUp ? IFF_UP : 0, true); // which of the flags change
  return bytes;
};

export const macBytes = (mac: string): Uint8Array =>
  Uint8Array.from(mac.split(":").map((byte) => Number.parseInt(byte, 16)));

const optional = (type: number, value: Uint8Array | undefined): Attribute[] =>
  value === undefined ? [] : [[type, value]];

const lookOf = (look: {
  name: string;
  mac?: string | undefined;
  mtu?: number | undefined;
}): Attribute[] => [
  [IFLA.name, zeroEnded(look.name)],
  ...optional(IFLA.address, look.mac === undefined ? undefined : macBytes(look.mac)),
  ...optional(IFLA.mtu, look.mtu === undefined ? undefined : u32(look.mtu)),
];

export interface BridgeLook {
  readonly name: string;
  readonly mac?: string | undefined;
  readonly mtu?: number | undefined;
}

/** A bridge, up from the start. */
export const newBridge = (look: BridgeLook): NetlinkRequest => ({
  type: RTM.newLink,
  flags: CREATE,
  body: linkBody({ isUp: true }),
  attributes: [...lookOf(look), [IFLA.linkInfo, [[IFLA_INFO.kind, zeroEnded("bridge")]]]],
});

export interface VethLook {
  readonly hostName: string;
  readonly masterIndex?: number | undefined;
  readonly mtu?: number | undefined;
  readonly peerName: string;
  readonly peerMac?: string | undefined;
  readonly netnsFd: number;
}

/**
 * A veth has one queue each way in use. Unless that is said it is made with one for each processor, and then told to
 * use one: a wait for a grace period of RCU for either end (veth_init_queues).
 */
const ONE_QUEUE: Attribute[] = [
  [IFLA.numTxQueues, u32(1)],
  [IFLA.numRxQueues, u32(1)],
];

/** A veth pair in one message: this end up and in its bridge, the other end born inside the namespace. */
export const newVeth = (look: VethLook): NetlinkRequest => {
  const peer = attributesBytes([
    ...lookOf({ name: look.peerName, mac: look.peerMac, mtu: look.mtu }),
    [IFLA.netnsFd, u32(look.netnsFd)],
    ...ONE_QUEUE,
  ]);
  return {
    type: RTM.newLink,
    flags: CREATE,
    body: linkBody({ isUp: true }),
    attributes: [
      ...lookOf({ name: look.hostName, mtu: look.mtu }),
      ...ONE_QUEUE,
      ...optional(IFLA.master, look.masterIndex === undefined ? undefined : u32(look.masterIndex)),
      [
        IFLA.linkInfo,
        [
          [IFLA_INFO.kind, zeroEnded("veth")],
          // A peer cannot be created up (ENOTCONN): it is raised from inside.
          [IFLA_INFO.data, [[VETH_INFO_PEER, new Uint8Array(Buffer.concat([linkBody(), peer]))]]],
        ],
      ],
    ],
  };
};

export interface BridgePortLook {
  readonly name: string;
  readonly isHairpin: boolean;
  readonly isIsolated: boolean;
  /** False where the host has no IPv6 at all: it would refuse the question. */
  readonly hasIpv6: boolean;
}

/** Settings of a bridge's port. It makes up no IPv6 address of its own: only the bridge is spoken to. */
export const setBridgePort = (look: BridgePortLook): NetlinkRequest => ({
  type: RTM.newLink,
  flags: 0,
  body: linkBody(),
  attributes: [
    [IFLA.name, zeroEnded(look.name)],
    ...(look.hasIpv6
      ? ([
          [
            IFLA.afSpec,
            [[AF_INET6, [[IFLA_INET6_ADDR_GEN_MODE, Uint8Array.of(IN6_ADDR_GEN_MODE_NONE)]]]],
          ],
        ] satisfies Attribute[])
      : []),
    [
      IFLA.linkInfo,
      [
        [IFLA_INFO.slaveKind, zeroEnded("bridge")],
        [
          IFLA_INFO.slaveData,
          [
            [IFLA_BRPORT.hairpin, Uint8Array.of(Number(look.isHairpin))],
            [IFLA_BRPORT.isolated, Uint8Array.of(Number(look.isIsolated))],
          ],
        ],
      ],
    ],
  ],
});

export interface MacvlanLook {
  readonly name: string;
  readonly parentIndex: number;
  readonly mac: string;
  /** MACVLAN_MODE_* of if_link.h. */
  readonly mode: number;
  readonly mtu?: number | undefined;
  readonly netnsFd: number;
}

export const newMacvlan = (look: MacvlanLook): NetlinkRequest => ({
  type: RTM.newLink,
  flags: CREATE,
  body: linkBody(),
  attributes: [
    ...lookOf(look),
    [IFLA.link, u32(look.parentIndex)],
    [IFLA.netnsFd, u32(look.netnsFd)],
    [
      IFLA.linkInfo,
      [
        [IFLA_INFO.kind, zeroEnded("macvlan")],
        [IFLA_INFO.data, [[MACVLAN_MODE, u32(look.mode)]]],
      ],
    ],
  ],
});

const VLAN_ID = 1;

/** 802.1Q frames of `id` on the parent's wire, up from the start. */
export const newVlan = (name: string, parentIndex: number, id: number): NetlinkRequest => ({
  type: RTM.newLink,
  flags: CREATE,
  body: linkBody({ isUp: true }),
  attributes: [
    [IFLA.name, zeroEnded(name)],
    [IFLA.link, u32(parentIndex)],
    [
      IFLA.linkInfo,
      [
        [IFLA_INFO.kind, zeroEnded("vlan")],
        [IFLA_INFO.data, [[VLAN_ID, new Uint8Array(Uint16Array.of(id).buffer)]]],
      ],
    ],
  ],
});

export const raiseLink = (index: number): NetlinkRequest => ({
  type: RTM.newLink,
  flags: 0,
  body: linkBody({ index, isUp: true }),
  attributes: [],
});

export const deleteLinkByName = (name: string): NetlinkRequest => ({
  type: RTM.delLink,
  flags: 0,
  body: linkBody(),
  attributes: [[IFLA.name, zeroEnded(name)]],
});

export const getLinkByName = (name: string): NetlinkRequest => ({
  type: RTM.getLink,
  flags: 0,
  body: linkBody(),
  attributes: [[IFLA.name, zeroEnded(name)]],
});

export const dumpLinks: NetlinkRequest = {
  type: RTM.getLink,
  flags: 0,
  body: linkBody(),
  attributes: [],
};

const MAX_BROADCAST_PREFIX = 30;

/** Blocks of one and two addresses have none (RFC 3021). */
const broadcastsOf = (prefix: IpPrefix): Attribute[] =>
  prefix.prefixLength > MAX_BROADCAST_PREFIX ? [] : [[IFA.broadcast, broadcastOf(prefix)]];

/** `cidr` is the interface's own address with the length of its network. */
export const newAddress = (index: number, cidr: string): NetlinkRequest => {
  const prefix = parsePrefix(cidr);
  const body = new Uint8Array(8); // struct ifaddrmsg
  body[0] = prefix.family;
  body[1] = prefix.prefixLength;
  new DataView(body.buffer).setUint32(4, index, true);
  const isV4 = prefix.family === AF_INET;
  return {
    type: RTM.newAddress,
    flags: CREATE,
    body,
    attributes: [
      [IFA.local, prefix.address],
      [IFA.address, prefix.address],
      // IPv6: usable at once, without a second of duplicate detection; the allocator knows no doubles.
      ...(isV4 ? broadcastsOf(prefix) : [[IFA.flags, u32(IFA_F_NODAD)] satisfies Attribute]),
    ],
  };
};

export const dumpAddresses: NetlinkRequest = {
  type: RTM.getAddress,
  flags: 0,
  body: new Uint8Array(8),
  attributes: [],
};

export interface RouteLook {
  /** `0.0.0.0/0` or `::/0` for the default route. */
  readonly destination: string;
  readonly gateway?: string | undefined;
  readonly index: number;
}

/** A route of the main table; without a gateway the destination is on the link itself. */
export const newRoute = (look: RouteLook): NetlinkRequest => {
  const destination = parsePrefix(look.destination);
  const body = new Uint8Array(12); // struct rtmsg
  body[0] = destination.family;
  body[1] = destination.prefixLength;
  body[4] = RT_TABLE_MAIN;
  body[5] = RTPROT_STATIC;
  body[6] = look.gateway === undefined ? RT_SCOPE_LINK : 0;
  body[7] = RTN_UNICAST;
  const isDefault = destination.prefixLength === 0;
  return {
    type: RTM.newRoute,
    flags: CREATE,
    body,
    attributes: [
      ...optional(RTA.destination, isDefault ? undefined : destination.address),
      ...optional(RTA.gateway, look.gateway === undefined ? undefined : parseIp(look.gateway)),
      [RTA.oif, u32(look.index)],
    ],
  };
};

export const dumpRoutes = (family: typeof AF_INET | typeof AF_INET6): NetlinkRequest => {
  const body = new Uint8Array(12);
  body[0] = family;
  return { type: RTM.getRoute, flags: 0, body, attributes: [] };
};
