import { expect, test } from "bun:test";
import {
  formatPort,
  parsePort,
  parsePortMap,
  parsePortRange,
  exposedKeys,
  publishAllPorts,
} from "#spec/docker/ports.ts";

test("a port is a number and a protocol", () => {
  expect(parsePort("80")).toEqual({ number: 80, protocol: "tcp" });
  expect(parsePort("53/UDP")).toEqual({ number: 53, protocol: "udp" });
  expect(formatPort(parsePort("53/udp"))).toBe("53/udp");
});

test.each(["", "0", "x", "80/tcp/x", "65536", "-1", "80-81/tcp", "80/http"])(
  "port %p is refused",
  (text) => expect(() => parsePort(text)).toThrow("invalid port specification"),
);

test("sctp is refused by name", () => {
  expect(() => parsePort("80/sctp")).toThrow('"sctp" is not supported');
});

test("ranges", () => {
  expect(parsePortRange("8000-8010")).toEqual({ first: 8000, last: 8010 });
  expect(parsePortRange("8000")).toEqual({ first: 8000, last: 8000 });
  expect(() => parsePortRange("9-8")).toThrow('invalid port specification: "9-8"');
});

test("a map becomes a list of wishes in the order of container ports", () => {
  const wishes = parsePortMap({
    "443/tcp": [{ HostIp: "127.0.0.1", HostPort: "8443" }],
    "80/tcp": [
      { HostIp: "", HostPort: "" },
      { HostIp: "0.0.0.0", HostPort: "8000-8001" },
    ],
    "90/udp": null,
  });
  expect(wishes).toEqual([
    { port: { number: 80, protocol: "tcp" }, hostIp: "", hostPorts: undefined },
    {
      port: { number: 80, protocol: "tcp" },
      hostIp: "0.0.0.0",
      hostPorts: { first: 8000, last: 8001 },
    },
    {
      port: { number: 443, protocol: "tcp" },
      hostIp: "127.0.0.1",
      hostPorts: { first: 8443, last: 8443 },
    },
  ]);
});

test("wrong host parts are refused", () => {
  expect(() => parsePortMap({ "80/tcp": [{ HostIp: "", HostPort: "a" }] })).toThrow(
    'specification: "a"',
  );
  expect(() => parsePortMap({ "80/tcp": [{ HostIp: "x", HostPort: "" }] })).toThrow(
    "invalid IP address",
  );
  expect(parsePortMap({ "80/tcp": [{ HostIp: "[::1]", HostPort: "" }] })[0]?.hostIp).toBe("::1");
});

test("-P binds what is exposed and not bound", () => {
  expect(
    publishAllPorts({ "80/tcp": {}, "53/udp": {} }, { "80/tcp": [{ HostIp: "", HostPort: "1" }] }),
  ).toEqual({
    "80/tcp": [{ HostIp: "", HostPort: "1" }],
    "53/udp": [{ HostIp: "", HostPort: "" }],
  });
});

test("exposed ports without a protocol, and ranges of them, are single ports of TCP", () => {
  const exposed = { "80": {}, "90-92": {}, "53/udp": {}, "7-8/udp": {}, odd: {} };
  expect(exposedKeys(exposed).join(" ")).toBe("80/tcp 90/tcp 91/tcp 92/tcp 53/udp 7/udp 8/udp odd");
});
