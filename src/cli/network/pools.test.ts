import { expect, test } from "bun:test";
import { configurePools, isInSubnet } from "#cli/network/pools.ts";

test("addresses in subnets", () => {
  expect(isInSubnet("10.1.2.3", "10.1.0.0/16")).toBe(true);
  expect(isInSubnet("10.2.2.3", "10.1.0.0/16")).toBe(false);
  expect(isInSubnet("10.1.128.0/20", "10.1.128.0/17")).toBe(true);
  expect(isInSubnet("fd00::5", "fd00::/64")).toBe(true);
  expect(isInSubnet("fd01::5", "fd00::/64")).toBe(false);
  expect(isInSubnet("10.1.2.3", "fd00::/64")).toBe(false);
});

test("everything finds its subnet", () => {
  expect(
    configurePools({
      subnets: ["10.1.0.0/16", "fd00::/64"],
      ranges: ["10.1.5.0/24"],
      gateways: ["fd00::1", "10.1.0.1"],
      auxiliary: { router: "10.1.0.9" },
    }),
  ).toEqual([
    {
      Subnet: "10.1.0.0/16",
      IPRange: "10.1.5.0/24",
      Gateway: "10.1.0.1",
      AuxiliaryAddresses: { router: "10.1.0.9" },
    },
    { Subnet: "fd00::/64", Gateway: "fd00::1" },
  ]);
});

test("what lies nowhere, or twice, is named", () => {
  const none = { subnets: ["10.1.0.0/16"], ranges: [], gateways: [], auxiliary: {} };
  expect(() => configurePools({ ...none, gateways: ["10.2.0.1"] })).toThrow(
    "no matching subnet for gateway 10.2.0.1",
  );
  expect(() => configurePools({ ...none, gateways: ["10.1.0.1", "10.1.0.2"] })).toThrow(
    "multiple gateways",
  );
});
