import { expect, test } from "bun:test";
import { AddressPool } from "#network/address-pool.ts";
import {
  contains,
  formatIpv4,
  macOf,
  overlaps,
  parseCidr,
  parseIpv4,
  requireIpv4,
} from "#network/ipv4.ts";
import { chooseSubnet, subnetOfBridgeIp } from "#network/subnet.ts";

test("addresses parse, print and compare", () => {
  expect(formatIpv4(requireIpv4("255.255.255.255"))).toBe("255.255.255.255");
  expect(parseIpv4("1.2.3.256")).toBeUndefined();
  expect(parseIpv4("1.2.3")).toBeUndefined();
  expect(contains(parseCidr("172.17.0.1/16"), requireIpv4("172.17.255.1"))).toBe(true);
  expect(contains(parseCidr("192.168.16.0/20"), requireIpv4("192.168.32.1"))).toBe(false);
  expect(overlaps(parseCidr("0.0.0.0/0"), parseCidr("10.0.0.0/8"))).toBe(true);
  expect(overlaps(parseCidr("10.1.0.0/16"), parseCidr("10.0.0.0/8"))).toBe(true);
  expect(overlaps(parseCidr("10.1.0.0/16"), parseCidr("10.2.0.0/16"))).toBe(false);
  expect(macOf(requireIpv4("172.17.0.2"))).toBe("02:42:ac:11:00:02");
});

test("a subnet is the first one that nothing uses", () => {
  expect(formatIpv4(chooseSubnet([]).gateway)).toBe("172.17.0.1");
  const taken = [parseCidr("172.16.0.0/12"), parseCidr("192.168.3.0/24")];
  expect(formatIpv4(chooseSubnet(taken).gateway)).toBe("192.168.16.1");
  expect(() => chooseSubnet([parseCidr("0.0.0.0/0")])).toThrow("--bip");
  expect(subnetOfBridgeIp("10.1.0.5/24")).toEqual({
    subnet: parseCidr("10.1.0.0/24"),
    gateway: requireIpv4("10.1.0.5"),
  });
  expect(() => subnetOfBridgeIp("10.1.0.0/24")).toThrow("10.1.0.0/24");
});

test("blocks of two and of one address have no outer ones", () => {
  const pair = new AddressPool(parseCidr("10.0.0.2/31"));
  pair.claim(requireIpv4("10.0.0.2"));
  expect(formatIpv4(pair.allocate())).toBe("10.0.0.3");
  expect(() => pair.allocate()).toThrow('"10.0.0.2/31" is full');
  let isGone = false;
  pair.release(requireIpv4("10.0.0.3"), () => isGone);
  expect(pair.isWaitingForRest()).toBe(true);
  isGone = true;
  expect(pair.isWaitingForRest()).toBe(false);
  expect(formatIpv4(pair.allocate())).toBe("10.0.0.3");
  const one = new AddressPool(parseCidr("10.0.0.7/32"));
  one.claim(requireIpv4("10.0.0.7"));
  expect(() => one.allocate()).toThrow('"10.0.0.7/32" is full');
});

test("addresses go round robin, released ones rest until their namespace has gone", () => {
  const pool = new AddressPool(parseCidr("10.0.0.0/29"));
  pool.claim(requireIpv4("10.0.0.1"));
  const take = (): string => formatIpv4(pool.allocate());
  expect([take(), take()]).toEqual(["10.0.0.2", "10.0.0.3"]);
  let isGone = false;
  pool.release(requireIpv4("10.0.0.2"), () => isGone);
  expect([take(), take(), take()]).toEqual(["10.0.0.4", "10.0.0.5", "10.0.0.6"]);
  expect(take).toThrow("10.0.0.0/29");
  isGone = true;
  expect(take()).toBe("10.0.0.2");
  expect(take).toThrow("no available");
});

test("a named address is refused when taken or outside", () => {
  const pool = new AddressPool(parseCidr("10.0.0.0/29"));
  pool.claim(requireIpv4("10.0.0.4"));
  expect(() => pool.claim(requireIpv4("10.0.0.4"))).toThrow("already in use");
  expect(() => pool.claim(requireIpv4("10.0.0.7"))).toThrow("already in use");
  expect(() => pool.claim(requireIpv4("10.0.1.4"))).toThrow("does not belong");
});

test("a /16 fills without a slow search", () => {
  const pool = new AddressPool(parseCidr("172.17.0.0/16"));
  for (let count = 0; count < 65534; count += 1) pool.allocate();
  expect(() => pool.allocate()).toThrow("full");
});
