import { expect, test } from "bun:test";
import { type HostReach, exposureOf } from "#network/exposure.ts";

const chain = (hook: string, policy: string, table = "filter", family = "ip") => ({
  family,
  table,
  name: hook.toUpperCase(),
  hook,
  policy,
});

/** Carried at [::1], as ports for everyone and of 127.0.0.1 are; at [::] where the container has IPv4 alone. */
const atLoopback = (address: string): boolean => address === "::1";
const atAny = (): boolean => true;
const nowhere = (): boolean => false;

const reach = (...chains: HostReach["chains"][number][]): HostReach => ({
  addresses: ["192.0.2.7", "2001:db8::7"],
  chains,
  table: "naru_1",
});

test("loopback is for this machine, an address for who reaches it, any for all", () => {
  expect(exposureOf("127.0.0.1", reach(chain("forward", "drop")), atLoopback)).toEqual({
    scope: "machine",
    addresses: [],
    local: ["127.0.0.1", "::1"],
    notes: [],
  });
  expect(exposureOf("192.0.2.9", reach(), atLoopback)).toEqual({
    scope: "address",
    addresses: ["192.0.2.9"],
    local: [],
    notes: [],
  });
  expect(exposureOf("0.0.0.0", reach(), nowhere)).toMatchObject({
    addresses: ["192.0.2.7"],
    local: ["127.0.0.1"],
  });
  expect(exposureOf("0.0.0.0", reach(), atLoopback).local).toEqual(["127.0.0.1", "::1"]);
  expect(exposureOf("::1", reach(), atLoopback)).toMatchObject({
    scope: "machine",
    local: ["::1"],
  });
  expect(exposureOf("::", reach(), atLoopback)).toMatchObject({ local: ["::1"], notes: [] });
  expect(exposureOf("::", reach(), nowhere)).toEqual({
    scope: "everywhere",
    addresses: ["2001:db8::7"],
    local: [],
    notes: ["[::1] of this machine does not lead there: use 127.0.0.1"],
  });
});

test("firewalls of others: those that matter and those that only seem to", () => {
  const { notes } = exposureOf(
    "0.0.0.0",
    reach(
      chain("forward", "drop"),
      chain("input", "drop", "filter"),
      chain("input", "accept", "quiet"),
      chain("forward", "drop", "naru_1"),
      chain("forward", "drop", "six", "ip6"),
    ),
    nowhere,
  );
  expect(notes).toEqual([
    "ip filter FORWARD drops forwarded packets by default: others may be kept out",
    "ip filter INPUT does not protect it: published ports are forwarded, they do not pass the input rules",
  ]);
});

test("what is carried comes in: the input rules decide, and no others", () => {
  const given = reach(chain("forward", "drop", "f", "ip6"), chain("input", "drop", "i", "inet"));
  expect(exposureOf("::", given, atAny)).toEqual({
    scope: "everywhere",
    addresses: ["2001:db8::7"],
    local: ["::1"],
    notes: ["inet i INPUT drops incoming packets by default: others may be kept out"],
  });
  expect(exposureOf("2001:db8::7", given, atAny).notes).toHaveLength(1);
  expect(exposureOf("0.0.0.0", given, atAny).notes).toEqual([
    "inet i INPUT does not protect it: published ports are forwarded, they do not pass the input rules",
  ]);
});
