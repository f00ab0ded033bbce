/** Networks on the wire of an interface of the host. Needs root. */
import { afterEach, expect, test } from "bun:test";
import { randomHex } from "#lib/clock.ts";
import {
  acquire,
  at,
  cleanUp,
  getInside,
  makeInstance,
  serve,
  undo,
} from "#network/instance.fake.ts";

afterEach(cleanUp);

test("macvlan: neighbours on the parent's wire, joined and left, kept by the next daemon", async () => {
  const { service, reborn } = await makeInstance();
  await service.restore([]);
  const parent = `nrp${randomHex(3)}`;
  const wire = ["ip", "link", "add", parent, "type", "veth", "peer", "name", `${parent}x`];
  for (const argv of [wire, ...[parent, `${parent}x`].map((n) => ["ip", "link", "set", n, "up"])]) {
    expect(Bun.spawnSync(argv).exitCode).toBe(0);
  }
  undo.push(() => void Bun.spawnSync(["ip", "link", "del", parent]));
  const request = (Name: string, Subnet: string, Options: Record<string, string>) =>
    service.create({ Name, Driver: "macvlan", Options, IPAM: { Config: [{ Subnet }] } });
  const lan = await request("lan", "10.213.40.0/24", { parent });
  expect([lan.driver, lan.bridge?.gateway]).toEqual(["macvlan", "10.213.40.1"]);
  expect(request("no", "10.213.41.0/24", {})).rejects.toThrow("add -o parent");
  expect(request("no", "10.213.41.0/24", { parent: "nrnone" })).rejects.toThrow("does not exist");
  const mode = { parent, macvlan_mode: "x" };
  expect(request("no", "10.213.41.0/24", mode)).rejects.toThrow("failed to parse macvlan_mode");

  const a = await acquire(service, "a", { network: "lan", ip: "10.213.40.77" });
  const b = await acquire(service, "b", { network: "bridge" });
  await serve(a, "A");
  expect(await getInside(b, "http://10.213.40.77/")).not.toStartWith("A ");
  const both = await service.connect(b, { network: "lan" });
  expect(await getInside(b, "http://10.213.40.77/")).toBe(`A ${both.endpoints[1]!.ip}`);
  const ports = { "80/tcp": [{ HostIp: "", HostPort: "" }] };
  const order = { containerId: "a", containerName: "a", sandbox: a, ports };
  expect(await service.publish(order)).toEqual({});
  expect(service.remove("lan")).rejects.toThrow("active endpoints");
  const left = await service.disconnect(both, lan.id);
  expect(await getInside(left, "http://10.213.40.77/")).not.toStartWith("A ");

  await service.stop();
  const next = reborn();
  await next.start();
  const entry = { containerId: "a", containerName: "a", sandbox: a, ports: {} };
  expect((await next.restore([entry])).lost).toEqual([]);
  expect(acquire(next, "c", { network: "lan", ip: at(a).ip })).rejects.toThrow("already in use");
  const c = await acquire(next, "c", { network: "lan" });
  expect(await getInside(c, "http://10.213.40.77/")).toBe(`A ${at(c).ip}`);
  next.release(a);
  next.release(c);
  await next.remove("lan");
  expect(next.list().map(({ name }) => name)).not.toContain("lan");
}, 300_000);

const ip = (...argv: string[]): string => Bun.spawnSync(["ip", ...argv]).stdout.toString();

const makeWire = (): string => {
  const name = `nrp${randomHex(3)}`;
  ip("link", "add", name, "type", "veth", "peer", "name", `${name}x`);
  for (const end of [name, `${name}x`]) ip("link", "set", end, "up");
  undo.push(() => void ip("link", "del", name));
  return name;
};

const hasVlans = (): boolean => {
  const wire = makeWire();
  const argv = ["ip", "link", "add", "link", wire, "name", `${wire}.9`, "type", "vlan", "id", "9"];
  const { exitCode } = Bun.spawnSync(argv);
  ip("link", "del", wire);
  return exitCode === 0;
};

test("a VLAN on a kernel that has none is told, and leaves no network", async () => {
  if (hasVlans()) return;
  const { service } = await makeInstance();
  await service.restore([]);
  const parent = `${makeWire()}.50`;
  const request = { Driver: "macvlan", Options: { parent }, IPAM: { Config: [] } };
  const failure = await service.create({ Name: "tagged", ...request }).catch(String);
  expect(failure).toContain("create vlan failed");
  expect(service.list().map(({ name }) => name)).not.toContain("tagged");
}, 300_000);

test.skipIf(!hasVlans())(
  "a VLAN as parent: its link is made, brought again by the next daemon, and goes with the network",
  async () => {
    const { service, reborn } = await makeInstance();
    await service.restore([]);
    const wire = makeWire();
    const parent = `${wire}.50`;
    const request = (Name: string, Subnet: string, of: string) => {
      const IPAM = { Config: [{ Subnet }] };
      return service.create({ Name, Driver: "macvlan", Options: { parent: of }, IPAM });
    };
    expect(request("no", "10.213.42.0/24", `${wire}.4095`)).rejects.toThrow("does not exist");
    expect(request("no", "10.213.42.0/24", "nrnone.50")).rejects.toThrow("does not exist");
    await request("tagged", "10.213.42.0/24", parent);
    expect(ip("-d", "link", "show", parent)).toMatch(/,UP.*vlan protocol 802.1Q id 50/s);
    expect(request("no", "10.213.43.0/24", parent)).rejects.toThrow(
      `network tagged is already using parent interface ${parent}`,
    );
    const a = await acquire(service, "a", { network: "tagged" });
    const b = await acquire(service, "b", { network: "tagged" });
    await serve(a, "A");
    expect(await getInside(b, `http://${at(a).ip}/`)).toBe(`A ${at(b).ip}`);
    service.release(a);
    service.release(b);

    await service.stop();
    ip("link", "del", parent);
    const next = reborn();
    await next.start();
    expect(ip("link", "show", parent)).toContain(parent);
    await next.remove("tagged");
    expect(ip("link", "show", parent)).toBe("");
    expect(ip("link", "show", wire)).toContain(wire);

    // A link that was there before is somebody else's.
    ip("link", "add", "link", wire, "name", parent, "type", "vlan", "id", "50");
    const create = {
      Driver: "macvlan",
      Options: { parent },
      IPAM: { Config: [{ Subnet: "10.213.42.0/24" }] },
    };
    await next.create({ Name: "foreign", ...create });
    await next.remove("foreign");
    expect(ip("link", "show", parent)).toContain(parent);
  },
  300_000,
);
