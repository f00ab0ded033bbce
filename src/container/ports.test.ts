import { expect, test } from "bun:test";
import { withoutPorts } from "#container/ports.ts";

const ports = {
  "80/tcp": [
    { HostIp: "0.0.0.0", HostPort: "8080" },
    { HostIp: "::", HostPort: "8080" },
    { HostIp: "127.0.0.1", HostPort: "9090" },
  ],
  "53/udp": [{ HostIp: "0.0.0.0", HostPort: "53" }],
};

test("a whole port, one host port in all families, one binding", () => {
  expect(withoutPorts(ports, { "80": [] }, true)).toEqual({ "53/udp": ports["53/udp"] });
  const one = { "80/tcp": [{ HostIp: "", HostPort: "8080" }] };
  expect(withoutPorts(ports, one, true)["80/tcp"]).toEqual([
    { HostIp: "127.0.0.1", HostPort: "9090" },
  ]);
  const six = { "80/tcp": [{ HostIp: "::", HostPort: "8080" }] };
  expect(withoutPorts(ports, six, true)["80/tcp"]).toHaveLength(2);
  expect(withoutPorts(ports, { "53/udp": null }, true)).not.toHaveProperty("53/udp");
});

test("what is not published cannot be withdrawn", () => {
  expect(() => withoutPorts(ports, { "81/tcp": [] }, true)).toThrow(
    'port "81/tcp" is not published',
  );
  const other = { "80/tcp": [{ HostIp: "", HostPort: "1" }] };
  expect(() => withoutPorts(ports, other, true)).toThrow("is not published so");
  expect(withoutPorts(ports, other, false)).toEqual(ports);
});
