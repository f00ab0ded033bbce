/** User-defined networks against the real kernel. Needs root. */
import { afterEach, expect, test } from "bun:test";
import {
  acquire,
  at,
  cleanUp,
  get,
  getInside,
  host,
  hostIp,
  makeInstance,
  order,
  serve,
  undo,
} from "#network/instance.fake.ts";
import type { NetworkService, Sandbox } from "#network/network.ts";

const named = (service: NetworkService, Name: string, more: object = {}) =>
  service.create({ Name, ...more });

const inside = (sandbox: Sandbox, ...argv: string[]): string =>
  Bun.spawnSync(["nsenter", `--net=${sandbox.netnsPath}`, ...argv]).stdout.toString();

afterEach(cleanUp);

test("networks are apart; one container can be in several, and joins and leaves live", async () => {
  const { service } = await makeInstance();
  await service.restore([]);
  const [one, two] = [await named(service, "one"), await named(service, "two")];
  const a = await acquire(service, "a", { network: "one" });
  const b = await acquire(service, "b", { network: "two" });
  await serve(b, "B");
  expect(await getInside(a, `http://${at(b).ip}/`)).toBe("failed");
  const both = await service.connect(a, { network: "two", gatewayPriority: 1 });
  expect(both.endpoints.map(({ name }) => name)).toEqual(["eth0", "eth1"]);
  expect(await getInside(a, `http://${at(b).ip}/`)).toBe(`B ${both.endpoints[1]!.ip}`);
  expect(inside(a, "ip", "route")).toContain(`default via ${two.bridge!.gateway} dev eth1`);
  expect(service.connect(both, { network: "two" })).rejects.toThrow(
    "already exists in network two",
  );
  expect(service.remove("two")).rejects.toThrow("network two has active endpoints");

  const again = await service.disconnect(both, two.id);
  expect(again.endpoints).toHaveLength(1);
  expect(inside(a, "ip", "-o", "link")).not.toContain("eth1");
  expect(inside(a, "ip", "route")).toContain(`default via ${one.bridge!.gateway} dev eth0`);
  expect(await getInside(a, `http://${at(b).ip}/`)).toBe("failed");
  expect(service.disconnect(again, two.id)).rejects.toThrow("no endpoint in the network");
  service.release(again);
  service.release(b);
  for (const name of ["one", "two"]) await service.remove(name);
  await service.settled();
  expect([one, two].filter((n) => host.hasLink(n.bridge!.linkName))).toEqual([]);
}, 300_000);

test("published ports lead from one network into another, and to the endpoint with the route", async () => {
  const { service } = await makeInstance();
  await service.restore([]);
  await named(service, "one", {
    Options: { "com.docker.network.bridge.host_binding_ipv4": "127.0.0.1" },
  });
  await named(service, "two");
  const a = await acquire(service, "a", { network: "one" });
  const b = await acquire(service, "b", { network: "two" });
  await serve(a, "A");
  await serve(b, "B");
  const local = await service.publish(order("a", a, { "80/tcp": [""] }));
  expect(local["80/tcp"]![0]!.HostIp).toBe("127.0.0.1");
  const any = await service.publish(order("b", b, { "80/tcp": [""] }));
  const port = any["80/tcp"]![0]!.HostPort;
  expect(await getInside(a, `http://${hostIp()}:${port}/`)).toStartWith("B ");
  expect(await getInside(b, `http://${hostIp()}:${port}/`)).toStartWith("B ");
  const moved = await service.connect(b, { network: "one", gatewayPriority: 9 });
  expect(await service.publish({ ...order("b", moved, {}), ports: any })).toEqual(any);
  expect(await get(`http://127.0.0.1:${port}/`)).toStartWith("B ");
}, 300_000);

test("internal: no way out, none in, no ports; the host still reaches it", async () => {
  const { service } = await makeInstance();
  await service.restore([]);
  await named(service, "inner", { Internal: true });
  const a = await acquire(service, "a", { network: "inner" });
  const b = await acquire(service, "b", { network: "inner" });
  const out = await acquire(service, "c");
  await serve(a, "A");
  await serve(out, "C");
  expect(inside(a, "ip", "route")).not.toContain("default");
  inside(a, "ip", "route", "add", "default", "via", service.get("inner").bridge!.gateway);
  expect(await getInside(a, `http://${at(out).ip}/`)).toBe("failed");
  expect(await getInside(out, `http://${at(a).ip}/`)).toBe("failed");
  expect(await getInside(b, `http://${at(a).ip}/`)).toBe(`A ${at(b).ip}`);
  expect(await get(`http://${at(a).ip}/`)).toStartWith("A ");
  expect(await service.publish(order("a", a, { "80/tcp": [""] }))).toEqual({});
}, 300_000);

test("icc off: neighbours are out of reach, the host is not", async () => {
  const { service } = await makeInstance();
  await service.restore([]);
  await named(service, "alone", { Options: { "com.docker.network.bridge.enable_icc": "false" } });
  const a = await acquire(service, "a", { network: "alone" });
  const b = await acquire(service, "b", { network: "alone" });
  await serve(a, "A");
  expect(await getInside(b, `http://${at(a).ip}/`)).toBe("failed");
  expect(await get(`http://${at(a).ip}/`)).toStartWith("A ");
  const ports = await service.publish(order("a", a, { "80/tcp": [""] }));
  expect(await get(`http://127.0.0.1:${ports["80/tcp"]![0]!.HostPort}/`)).toStartWith("A ");
}, 300_000);

test("the next daemon finds networks, endpoints and addresses, and sweeps what has no owner", async () => {
  const { service, instanceId, reborn } = await makeInstance();
  await service.restore([]);
  await named(service, "one", { IPAM: { Config: [{ Subnet: "10.213.20.0/29" }] } });
  await named(service, "two");
  const a = await acquire(service, "a", { network: "one" }, { network: "two" });
  // A cable that was made, and a death before anybody wrote it down.
  const lost = await service.connect(a, { network: "bridge" });
  Bun.spawnSync(["ip", "link", "add", `nr${instanceId}stray`, "type", "bridge"]);
  await service.stop();

  const next = reborn();
  await next.start();
  const entry = { containerId: "a", containerName: "a", sandbox: a, ports: {} };
  expect(await next.restore([entry])).toEqual({ lost: [], unpublished: [] });
  expect(next.list().map(({ name }) => name)).toEqual(
    expect.arrayContaining(["bridge", "host", "none", "one", "two"]),
  );
  expect(next.remove("one")).rejects.toThrow("active endpoints");
  expect(acquire(next, "b", { network: "one", ip: at(a).ip })).rejects.toThrow("already in use");
  await Bun.sleep(300);
  const cable = lost.endpoints[2]!.linkName;
  const deadline = Date.now() + 60_000;
  while (host.hasLink(cable) && Date.now() < deadline) await Bun.sleep(20);
  expect(host.hasLink(cable)).toBe(false);
  expect(host.hasLink(`nr${instanceId}stray`)).toBe(false);
  expect(inside(a, "ip", "-o", "link").match(/eth\d/g)).toEqual(["eth0", "eth1"]);
}, 300_000);

test("a subnet can be had again at once; bridges of others are left alone", async () => {
  const { service } = await makeInstance();
  await service.restore([]);
  const config = { IPAM: { Config: [{ Subnet: "10.213.21.0/24" }] } };
  await named(service, "one", config);
  expect(named(service, "two", config)).rejects.toThrow("Pool overlaps");
  await service.remove("one");
  await named(service, "two", config);
  const a = await acquire(service, "a", { network: "two" });
  await serve(a, "A");
  expect(await get(`http://${at(a).ip}/`)).toStartWith("A ");
  Bun.spawnSync(["ip", "link", "add", "nrtest-foreign", "type", "bridge"]);
  undo.push(() => void Bun.spawnSync(["ip", "link", "del", "nrtest-foreign"]));
  const options = (name: string) => ({ Options: { "com.docker.network.bridge.name": name } });
  expect(named(service, "three", options("nrtest-foreign"))).rejects.toThrow("exists on this host");
  const { bridge } = await named(service, "four", options("nrtest-own"));
  expect(bridge?.linkName).toBe("nrtest-own");
  expect(await service.prune(new Map([["label", ["x"]]]))).toEqual([]);
  expect((await service.prune(new Map())).map(({ name }) => name)).toEqual(["four"]);
  expect(host.hasLink("nrtest-own")).toBe(false);
}, 300_000);

test("a small network runs full with a clear word, and its addresses come back", async () => {
  const { service } = await makeInstance();
  await service.restore([]);
  await named(service, "small", { IPAM: { Config: [{ Subnet: "10.213.22.0/30" }] } });
  const a = await acquire(service, "a", { network: "small" });
  expect(acquire(service, "b", { network: "small" })).rejects.toThrow(
    "no available IPv4 addresses on this network's address pools",
  );
  service.release(a);
  const deadline = Date.now() + 60_000;
  while (host.hasLink(at(a).linkName) && Date.now() < deadline) await Bun.sleep(10);
  expect(at(await acquire(service, "b", { network: "small" })).ip).toBe(at(a).ip);
});
