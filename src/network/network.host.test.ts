/** The room against the real kernel, in instances of its own. Needs root. */
import { afterEach, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { randomHex } from "#lib/clock.ts";
import { leastCpuMs } from "#lib/cpu-time.fake.ts";
import { namespaceKernel } from "#kernel/namespace.ts";
import { writeSysctl } from "#kernel/sysctl.ts";
import type { Sandbox } from "#network/network.ts";
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
  rulesets,
  serve,
  undo,
} from "#network/instance.fake.ts";

afterEach(cleanUp);

test("published ports answer on loopback, the host's address, and from containers", async () => {
  const { service } = await makeInstance();
  await service.restore([]);
  const a = await acquire(service, "a");
  const b = await acquire(service, "b");
  await serve(a, "A");
  const wishes = order("a", a, { "80/tcp": ["", "127.0.0.1:"] });
  const realized = await service.publish({ ...wishes, ports: { ...wishes.ports, "9/sctp": null } });
  expect(realized["9/sctp"]).toBeNull();
  const [any, local] = realized["80/tcp"]!.filter(({ HostIp }) => HostIp !== "::");
  expect(any!.HostIp).toBe("0.0.0.0");
  expect(local!.HostIp).toBe("127.0.0.1");
  expect(Number(any!.HostPort)).toBeGreaterThanOrEqual(32_768);

  const gateway = service.hostGateway();
  expect(await get(`http://127.0.0.1:${any!.HostPort}/`)).toBe(`A ${gateway}`);
  expect(await get(`http://127.0.0.1:${local!.HostPort}/`)).toBe(`A ${gateway}`);
  expect(await get(`http://${hostIp()}:${any!.HostPort}/`)).toStartWith("A ");
  expect(await get(`http://${gateway}:${any!.HostPort}/`)).toStartWith("A ");
  expect(await get(`http://${at(a).ip}/`)).toBe(`A ${gateway}`);
  // Neighbour, by its address, by the host's, by the gateway; and the container itself (hairpin).
  expect(await getInside(b, `http://${at(a).ip}/`)).toBe(`A ${at(b).ip}`);
  expect(await getInside(b, `http://${hostIp()}:${any!.HostPort}/`)).toBe(`A ${gateway}`);
  expect(await getInside(b, `http://${gateway}:${any!.HostPort}/`)).toBe(`A ${gateway}`);
  expect(await getInside(a, `http://${hostIp()}:${any!.HostPort}/`)).toBe(`A ${gateway}`);
  // What is published on loopback alone stays there.
  expect(await getInside(b, `http://${gateway}:${local!.HostPort}/`)).toBe("failed");

  await service.unpublish("a");
  expect(get(`http://127.0.0.1:${any!.HostPort}/`)).rejects.toThrow();
}, 300_000);

test("the host's loopback is shut to containers", async () => {
  const { service } = await makeInstance();
  await service.restore([]);
  const a = await acquire(service, "a");
  const server = Bun.serve({ port: 0, hostname: "0.0.0.0", fetch: () => new Response("host") });
  undo.push(() => server.stop(true));
  expect(await getInside(a, `http://${service.hostGateway()}:${server.port}/`)).toBe("host");
  namespaceKernel.inNetns(a.netnsPath, () => {
    writeSysctl("net/ipv4/conf/eth0/route_localnet", 1);
    Bun.spawnSync(["ip", "addr", "del", "127.0.0.1/8", "dev", "lo"]);
    Bun.spawnSync(["ip", "route", "flush", "table", "local", "127.0.0.0/8"]);
    Bun.spawnSync(["ip", "route", "add", "127.0.0.0/8", "via", at(a).gateway]);
  });
  expect(await getInside(a, `http://127.0.0.1:${server.port}/`)).toBe("failed");
}, 300_000);

test("port conflicts are named, ours and others'", async () => {
  const { service } = await makeInstance();
  await service.restore([]);
  const a = await acquire(service, "a");
  const b = await acquire(service, "b");
  const port = String(28_600 + Number.parseInt(randomHex(1), 16));
  await service.publish(order("a", a, { "80/tcp": [port] }));
  expect(service.publish(order("b", b, { "81/tcp": [""], "80/tcp": [port] }))).rejects.toThrow(
    `driver failed programming external connectivity on endpoint b (${at(b).endpointId}): Bind for 0.0.0.0:${port} failed: port is already allocated`,
  );
  expect(service.info().publishedPorts).toBe(1);
  // UDP of the same number is another port; a range goes on to the next free one.
  await service.publish(
    order("b", b, { "53/udp": [port], "80/tcp": [`${port}-${Number(port) + 3}`] }),
  );
  expect(service.info().publishedPorts).toBe(3);

  const server = createServer();
  await new Promise<void>((done) => void server.listen(28_999, "0.0.0.0", done));
  undo.push(() => new Promise<void>((done) => void server.close(() => done())));
  expect(service.publish(order("a", a, { "80/tcp": ["28999"] }))).rejects.toThrow(
    "address already in use by another process",
  );
  const taken = createServer();
  const code = await new Promise((done) => {
    taken.once("error", (error: NodeJS.ErrnoException) => done(error.code));
    taken.listen(Number(port) + 1);
  });
  expect(code).toBe("EADDRINUSE");
});

test("containers, addresses and ports are taken over by the next daemon", async () => {
  const { service, execRoot, reborn } = await makeInstance();
  await service.restore([]);
  const a = await acquire(service, "a");
  const gone = await acquire(service, "gone");
  const none = await service.acquire({ containerId: "none", mode: "none", endpoints: [] });
  await serve(a, "A");
  const ports = await service.publish(order("a", a, { "80/tcp": [""] }));
  const url = `http://127.0.0.1:${ports["80/tcp"]![0]!.HostPort}/`;
  // The daemon dies: sockets close, nothing else happens.
  await service.stop();
  host.removeNetns(gone.netnsPath);
  expect(await get(url)).toStartWith("A");

  const next = reborn();
  await next.start();
  const entry = (containerId: string, sandbox: Sandbox) => ({
    containerId,
    containerName: containerId,
    sandbox,
    ports: containerId === "a" ? ports : {},
  });
  const result = await next.restore([entry("a", a), entry("gone", gone), entry("none", none)]);
  expect(result).toEqual({ lost: ["gone"], unpublished: [] });
  expect(await get(url)).toStartWith("A");
  expect(next.get("bridge").id).toBe(at(a).networkId);
  expect(next.get(next.get("host").id.slice(0, 8)).name).toBe("host");
  const seen = new Set([at(a).ip]);
  for (let count = 0; count < 20; count += 1) {
    seen.add(at(await acquire(next, "x")).ip);
  }
  expect(seen.size).toBe(21);
  const b = await acquire(next, "b");
  expect(
    next.publish(order("b", b, { "80/tcp": [ports["80/tcp"]![0]!.HostPort] })),
  ).rejects.toThrow("allocated");
  expect(existsSync(gone.netnsPath)).toBe(false);
  expect(readdirSync(`${execRoot}/netns`).length).toBeGreaterThan(20);
}, 300_000);

/** A program that is just being started has the descriptors of this one for a moment, and so the port. */
const listenOnce = async (port: number): Promise<{ stop(): void }> => {
  for (;;) {
    try {
      return Bun.listen({ hostname: "0.0.0.0", port, socket: { data: () => undefined } });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
      await Bun.sleep(5);
    }
  }
};

test("a port that somebody took while the daemon was away costs its container none of the others", async () => {
  const { service, reborn } = await makeInstance();
  await service.restore([]);
  const a = await acquire(service, "a");
  await serve(a, "A");
  const ports = await service.publish(order("a", a, { "80/tcp": ["0.0.0.0:", "0.0.0.0:"] }));
  const [lost, kept] = ports["80/tcp"]!.map(({ HostPort }) => HostPort);
  await service.stop();
  const other = await listenOnce(Number(lost));
  undo.push(() => other.stop());
  const next = reborn();
  await next.start();
  const entry = { containerId: "a", containerName: "a", sandbox: a, ports };
  const { unpublished } = await next.restore([entry]);
  expect(unpublished.map(({ containerId }) => containerId)).toEqual(["a"]);
  expect(String(unpublished[0]!.error)).toContain(`0.0.0.0:${lost}/tcp: address already in use`);
  expect(await get(`http://127.0.0.1:${kept}/`)).toStartWith("A");
}, 300_000);

test("two instances stand side by side", async () => {
  const first = await makeInstance();
  const second = await makeInstance({ bip: "10.213.7.1/24" });
  await first.service.restore([]);
  await second.service.restore([]);
  const a = await acquire(first.service, "a");
  const b = await acquire(second.service, "b");
  expect(at(b).ip).toStartWith("10.213.7.");
  await serve(a, "A");
  await serve(b, "B");
  const ports = await second.service.publish(order("b", b, { "80/tcp": [""] }));
  expect(await getInside(a, `http://${at(b).ip}/`)).toBe("failed");
  expect(await getInside(b, `http://${at(a).ip}/`)).toBe("failed");
  const port = ports["80/tcp"]![0]!.HostPort;
  expect(await getInside(a, `http://${hostIp()}:${port}/`)).toStartWith("B ");
  expect(first.service.publish(order("a", a, { "80/tcp": [port] }))).rejects.toThrow(
    "another process",
  );
}, 300_000);

test("instances that start in the same moment get different subnets", async () => {
  const instances = await Promise.all([makeInstance(), makeInstance(), makeInstance()]);
  expect(new Set(instances.map(({ service }) => service.info().subnet)).size).toBe(3);
});

test("a named address and MAC are wired to order", async () => {
  const { service } = await makeInstance({ bip: "10.213.8.1/24" });
  await service.restore([]);
  const { name: network } = await service.create({
    Name: "own",
    IPAM: { Config: [{ Subnet: "10.213.9.0/24" }] },
  });
  const made = await acquire(service, "a", {
    network,
    ip: "10.213.9.77",
    mac: "02:00:00:00:00:77",
  });
  const inside = Bun.spawnSync([
    "nsenter",
    `--net=${made.netnsPath}`,
    "ip",
    "addr",
  ]).stdout.toString();
  expect(inside).toContain("inet 10.213.9.77/24");
  expect(inside).toContain("link/ether 02:00:00:00:00:77");
  expect(inside).toContain("inet 127.0.0.1/8");
  expect(acquire(service, "b", { network, ip: "10.213.9.77" })).rejects.toThrow("in use");
  expect(acquire(service, "b", { network, ip: "10.9.8.77" })).rejects.toThrow(
    "no configured subnet",
  );
  expect(acquire(service, "b", { network, mac: "zz" })).rejects.toThrow("MAC");
  expect(acquire(service, "b", { network: "bridge", ip: "10.213.8.77" })).rejects.toThrow(
    "user defined networks only",
  );
  service.release(made);
  service.release(made);
});

test("a hundred ports are published and withdrawn in one step each", async () => {
  const { service } = await makeInstance();
  await service.restore([]);
  const a = await acquire(service, "a");
  const ports = Object.fromEntries(
    Array.from({ length: 100 }, (_, index) => [`${1000 + index}/tcp`, [""]]),
  );
  const publish = (): Promise<unknown> => service.publish(order("a", a, ports));
  const withdraw = (): Promise<void> => service.unpublish("a");
  /** Transactions that tell the firewall of ports. */
  const steps = async (work: () => Promise<unknown>): Promise<number> => {
    const before = rulesets.length;
    await work();
    return rulesets.slice(before).filter((text) => text.includes("published")).length;
  };
  expect(await steps(publish)).toBe(1);
  expect(service.info().publishedPorts).toBe(100);
  expect(await steps(withdraw)).toBe(1);
  expect(service.info().publishedPorts).toBe(0);
  const spentMs = await leastCpuMs(3, async () => {
    await publish();
    await withdraw();
  });
  expect(spentMs).toBeLessThan(500);
});

test("nothing is left after reset", async () => {
  const { service, instanceId, execRoot } = await makeInstance();
  await service.restore([]);
  await acquire(service, "a");
  await service.acquire({ containerId: "b", mode: "none", endpoints: [] });
  expect(host.linksNamed(`nr${instanceId}`)).toHaveLength(1);
  await service.reset();
  expect(host.linksNamed(`nr${instanceId}`)).toEqual([]);
  expect(host.linksNamed(`v${instanceId}`)).toEqual([]);
  expect(existsSync(`${execRoot}/netns`)).toBe(false);
  const tables = Bun.spawnSync(["nft", "list", "tables"]).stdout.toString();
  expect(tables).not.toContain(instanceId);
});
