import { describe, expect, test } from "bun:test";
import { parsePorts } from "#cli/run-options/ports.ts";

const at = (HostPort: string, HostIp = "") => ({ HostIp, HostPort });

const GOOD: readonly (readonly [string, object])[] = [
  ["80", { "80/tcp": [at("")] }],
  ["8080:80", { "80/tcp": [at("8080")] }],
  ["8080:80/udp", { "80/udp": [at("8080")] }],
  ["8080:80/UDP", { "80/udp": [at("8080")] }],
  ["127.0.0.1:8080:80", { "80/tcp": [at("8080", "127.0.0.1")] }],
  ["127.0.0.1::80", { "80/tcp": [at("", "127.0.0.1")] }],
  ["[::1]:8080:80", { "80/tcp": [at("8080", "::1")] }],
  ["8000-8002:80-82", { "80/tcp": [at("8000")], "81/tcp": [at("8001")], "82/tcp": [at("8002")] }],
  ["80-81", { "80/tcp": [at("")], "81/tcp": [at("")] }],
  ["8000-8010:80", { "80/tcp": [at("8000-8010")] }],
  ["published=8080,target=80", { "80/tcp": [at("8080")] }],
  ["published=8080,target=80,protocol=udp", { "80/udp": [at("8080")] }],
];

const BAD: readonly (readonly [string, string])[] = [
  ["abc", "invalid containerPort: abc"],
  ["99999:80", "invalid hostPort: 99999"],
  ["80:99999", "invalid containerPort: 99999"],
  ["8000-8001:80-82", "invalid ranges specified for container and host Ports: 80-82 and 8000-8001"],
  ["80/foo", "invalid proto: foo"],
  ["1.2.3:80:80", "invalid IP address: 1.2.3"],
  ["8080:", "no port specified: 8080:<empty>"],
  ["published=80,target", "invalid publish opts format"],
];

describe("--publish", () => {
  for (const [given, bindings] of GOOD) {
    test(given, () => {
      const parsed = parsePorts([given], []);
      expect(parsed.bindings).toEqual(bindings as never);
      expect(Object.keys(parsed.exposedPorts)).toEqual(Object.keys(bindings));
    });
  }
  for (const [given, message] of BAD) {
    test(`refused: ${given}`, () => expect(() => parsePorts([given], [])).toThrow(message));
  }
});

test("the same port twice has two bindings", () => {
  expect(parsePorts(["80:80", "81:80"], []).bindings).toEqual({ "80/tcp": [at("80"), at("81")] });
});

test("--expose takes ports and ranges", () => {
  expect(Object.keys(parsePorts([], ["80", "90-91/udp"]).exposedPorts)).toEqual([
    "80/tcp",
    "90/udp",
    "91/udp",
  ]);
  expect(() => parsePorts([], ["x"])).toThrow("invalid range format for --expose: x");
  expect(() => parsePorts([], ["1:2"])).toThrow("invalid port format for --expose: 1:2");
});
