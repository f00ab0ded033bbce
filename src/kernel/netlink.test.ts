import { describe, expect, test } from "bun:test";
import { broadcastOf, formatIp, parseIp, parsePrefix } from "#kernel/ip-bytes.ts";
import {
  type NetlinkRequest,
  parseAttributes,
  parseReplies,
  requestBytes,
} from "#kernel/netlink.ts";
import { newAddress, newBridge, newRoute, newVeth, newVlan, raiseLink } from "#kernel/rtnetlink.ts";

const hex = (request: NetlinkRequest): string =>
  Buffer.from(requestBytes(request, 1)).toString("hex");
/** Fields told apart by blanks, to be read beside the kernel's headers. */
const golden = (...fields: string[]): string => fields.join("").replaceAll(" ", "");

test("create a bridge", () => {
  expect(hex(newBridge({ name: "br0", mac: "02:42:0a:58:00:01", mtu: 1500 }))).toBe(
    golden(
      "4c000000 1000 0006 01000000 00000000", // length 76, RTM_NEWLINK, CREATE|EXCL, sequence 1, port 0
      "00 00 0000 00000000 01000000 01000000", // ifinfomsg: flags UP, change UP
      "0800 0300 62723000", // IFLA_IFNAME
      "0a00 0100 02420a580001 0000", // IFLA_ADDRESS, padded
      "0800 0400 dc050000", // IFLA_MTU
      "1000 1200", // IFLA_LINKINFO
      "0b00 0100 62726964676500 00", // IFLA_INFO_KIND "bridge", padded
    ),
  );
});

test("create a veth pair with the peer born elsewhere", () => {
  const request = newVeth({
    hostName: "v0",
    masterIndex: 7,
    mtu: 1400,
    peerName: "eth0",
    peerMac: "02:42:0a:58:00:02",
    netnsFd: 9,
  });
  expect(hex(request)).toBe(
    golden(
      "a8000000 1000 0006 01000000 00000000",
      "00 00 0000 00000000 01000000 01000000",
      "0700 0300 763000 00",
      "0800 0400 78050000",
      "0800 1f00 01000000", // IFLA_NUM_TX_QUEUES
      "0800 2000 01000000", // IFLA_NUM_RX_QUEUES
      "0800 0a00 07000000", // IFLA_MASTER
      "6000 1200", // IFLA_LINKINFO
      "0900 0100 7665746800 000000", // kind "veth"
      "5000 0200", // IFLA_INFO_DATA
      "4c00 0100", // VETH_INFO_PEER
      "00 00 0000 00000000 00000000 00000000", // ifinfomsg of the peer: not up
      "0900 0300 6574683000 000000",
      "0a00 0100 02420a580002 0000",
      "0800 0400 78050000",
      "0800 1c00 09000000", // IFLA_NET_NS_FD
      "0800 1f00 01000000",
      "0800 2000 01000000",
    ),
  );
});

test("create the link of a VLAN", () => {
  expect(hex(newVlan("e.50", 7, 50))).toBe(
    golden(
      "50000000 1000 0006 01000000 00000000",
      "00 00 0000 00000000 01000000 01000000",
      "0900 0300 652e353000 000000",
      "0800 0500 07000000", // IFLA_LINK
      "1c00 1200", // IFLA_LINKINFO
      "0900 0100 766c616e00 000000", // kind "vlan"
      "0c00 0200", // IFLA_INFO_DATA
      "0600 0100 3200 0000", // IFLA_VLAN_ID
    ),
  );
});

test("address, up, default route", () => {
  expect(hex(newAddress(2, "10.88.0.2/16"))).toBe(
    golden(
      "30000000 1400 0006 01000000 00000000",
      "02 10 00 00 02000000",
      "0800 0200 0a580002",
      "0800 0100 0a580002",
      "0800 0400 0a58ffff",
    ),
  );
  expect(hex(raiseLink(2))).toBe(
    golden("20000000 1000 0000 01000000 00000000", "00 00 0000 02000000 01000000 01000000"),
  );
  expect(hex(newRoute({ destination: "0.0.0.0/0", gateway: "10.88.0.1", index: 2 }))).toBe(
    golden(
      "2c000000 1800 0006 01000000 00000000",
      "02 00 00 00 fe 04 00 01 00000000", // rtmsg: main table, static, universe, unicast
      "0800 0500 0a580001",
      "0800 0400 02000000",
    ),
  );
});

test("replies and attributes are read back, damaged ends left alone", () => {
  const bytes = requestBytes(newBridge({ name: "br0" }), 5);
  const [reply, ...rest] = parseReplies(new Uint8Array([...bytes, 1, 2, 3]));
  expect(rest).toEqual([]);
  expect(reply).toMatchObject({ type: 16, sequence: 5 });
  const attributes = parseAttributes(reply!.payload.subarray(16));
  expect(Buffer.from(attributes.get(3)!).toString()).toBe("br0\0");
  expect(parseAttributes(Uint8Array.of(3, 0, 1, 0)).size).toBe(0);
});

describe("addresses", () => {
  test.each([
    ["10.0.0.1", "0a000001"],
    ["::", "00".repeat(16)],
    ["::1", `${"00".repeat(15)}01`],
    ["fd00:1::a:0:b", "fd000001000000000000000a0000000b"],
    ["1:2:3:4:5:6:7:8", "00010002000300040005000600070008"],
    ["::ffff:10.0.0.1", "00000000000000000000ffff0a000001"],
  ])("%s", (text, bytes) => {
    const parsed = parseIp(text);
    expect(Buffer.from(parsed).toString("hex")).toBe(bytes);
    expect(parseIp(formatIp(parsed))).toEqual(parsed);
  });

  test("are shown in the canonical form", () => {
    expect(formatIp(parseIp("fd00:0:0:1:0:0:0:1"))).toBe("fd00:0:0:1::1");
    expect(formatIp(parseIp("2001:DB8:0:1:1:1:1:1"))).toBe("2001:db8:0:1:1:1:1:1");
    expect(formatIp(parseIp("1::"))).toBe("1::");
  });

  test("prefixes and their broadcast", () => {
    expect(parsePrefix("10.1.2.3/20")).toMatchObject({ family: 2, prefixLength: 20 });
    expect(parsePrefix("fd00::1")).toMatchObject({ family: 10, prefixLength: 128 });
    expect(formatIp(broadcastOf(parsePrefix("10.1.2.3/20")))).toBe("10.1.15.255");
    expect(formatIp(broadcastOf(parsePrefix("10.1.2.3/32")))).toBe("10.1.2.3");
    for (const bad of [
      "10.0.0.1/33",
      "10.0.0.1/",
      "10.0.0.1/8/8",
      "10.0.0/8",
      "fe80::1%eth0/64",
      "x",
    ]) {
      expect(() => parsePrefix(bad)).toThrow("is not");
    }
  });
});
