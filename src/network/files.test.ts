import { expect, test } from "bun:test";
import { chooseResolvConf, parseExtraHost, renderHosts, renderResolvConf } from "#network/files.ts";

const NONE = { servers: [], search: [], options: [] };

test("hosts: local names, extra hosts, the container's own names", () => {
  const text = renderHosts({
    hostname: "web",
    domainname: "example.org",
    addresses: ["172.17.0.2"],
    extraHosts: ["db:10.0.0.1", "host.docker.internal:host-gateway", "six:[::2]"],
    hostGateway: "172.17.0.1",
  });
  expect(text.split("\n").slice(0, 2)).toEqual([
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
  ]);
  expect(text).toEndWith(
    "10.0.0.1\tdb\n172.17.0.1\thost.docker.internal\n::2\tsix\n172.17.0.2\tweb.example.org web\n",
  );
});

test("hosts: on the host's network the host's file comes first", () => {
  const input = { hostname: "h", domainname: "", addresses: [], hostGateway: "1.2.3.4" };
  expect(renderHosts({ ...input, extraHosts: ["a:1.1.1.1"], base: "127.0.0.1 me" })).toBe(
    "127.0.0.1 me\n1.1.1.1\ta\n",
  );
});

test("extra hosts are checked", () => {
  expect(parseExtraHost("a=1.1.1.1")).toEqual({ name: "a", address: "1.1.1.1" });
  expect(() => parseExtraHost("a")).toThrow('bad format for add-host: "a"');
  expect(() => parseExtraHost("a:b")).toThrow('invalid IP address in add-host: "b"');
});

test("resolv.conf: loopback servers cannot be reached from a container", () => {
  const host =
    "# x\nnameserver 127.0.0.1\nnameserver 10.0.0.53 # c\nsearch a.b c.d\noptions ndots:2\n";
  expect(renderResolvConf({ host, overrides: NONE, isHostNetwork: false })).toBe(
    "nameserver 10.0.0.53\nsearch a.b c.d\noptions ndots:2\n",
  );
  expect(renderResolvConf({ host, overrides: NONE, isHostNetwork: true })).toStartWith(
    "nameserver 127.0.0.1\nnameserver 10.0.0.53\n",
  );
  expect(
    renderResolvConf({ host: "nameserver ::1\n", overrides: NONE, isHostNetwork: false }),
  ).toBe("nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
  const overrides = { servers: ["1.1.1.1"], search: ["."], options: ["use-vc"] };
  expect(renderResolvConf({ host, overrides, isHostNetwork: false })).toBe(
    "nameserver 1.1.1.1\noptions use-vc\n",
  );
});

test("the stub of systemd-resolved gives way to the real list", () => {
  expect(chooseResolvConf("nameserver 127.0.0.53\n", "nameserver 9.9.9.9\n")).toContain("9.9.9.9");
  expect(chooseResolvConf("nameserver 127.0.0.53\n", undefined)).toContain("127.0.0.53");
  expect(chooseResolvConf("nameserver 1.1.1.1\n", "nameserver 9.9.9.9\n")).toContain("1.1.1.1");
});
