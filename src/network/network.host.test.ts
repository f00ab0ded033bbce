/** The room against the real kernel, in instances of its own. Needs root. */
import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { randomHex } from "#lib/clock.ts";
import { silentLogger } from "#lib/log.ts";
import { openDatabase } from "#database/database.ts";
import { setHairpin } from "#kernel/bridge-port.ts";
import { createLinkKernel } from "#kernel/link.ts";
import { namespaceKernel } from "#kernel/namespace.ts";
import { createNftKernel } from "#kernel/nft.ts";
import { portKernel } from "#kernel/reserve.ts";
import { readSysctl, writeSysctl } from "#kernel/sysctl.ts";
import { NETWORK_MIGRATIONS, createNetworkRows } from "#metadata/networks.ts";
import { createLinuxHost } from "#network/linux-host.ts";
import type { NetworkService, Sandbox } from "#network/network.ts";
import { createNetworkService } from "#network/service.ts";

const nft = createNftKernel();

const host = createLinuxHost({
  namespaces: namespaceKernel,
  links: createLinkKernel(),
  ports: portKernel,
  sysctl: { readSysctl, writeSysctl },
  setHairpin,
  applyRuleset: (text) => nft.apply(text),
});

const undo: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

interface Instance {
  readonly service: NetworkService;
  readonly instanceId: string;
  readonly execRoot: string;
  /** A new service over the same rows, as after a death of the daemon. */
  readonly reborn: () => NetworkService;
}

const makeInstance = async (
  options: { bip?: string; poolMin?: number } = {},
): Promise<Instance> => {
  const instanceId = randomHex(3);
  const execRoot = mkdtempSync("/tmp/naru-net-");
  const rows = createNetworkRows(openDatabase(":memory:", NETWORK_MIGRATIONS));
  const made: NetworkService[] = [];
  const make = (): NetworkService => {
    const service = createNetworkService({
      instanceId,
      execRoot,
      host,
      rows,
      logger: silentLogger,
      ...options,
    });
    made.push(service);
    return service;
  };
  const service = make();
  undo.push(async () => {
    for (const one of made) await one.stop();
    await make().reset();
    rmSync(execRoot, { recursive: true });
  });
  await service.start();
  return { service, instanceId, execRoot, reborn: make };
};

/** A web server inside a sandbox that answers with `text` and the client's address. */
const serve = async (sandbox: Sandbox, text: string, port = 80): Promise<number> => {
  const script = `import http.server
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("${text} " + self.client_address[0]).encode()
        self.send_response(200); self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
s = http.server.ThreadingHTTPServer(("0.0.0.0", ${port}), H)
print("ready", flush=True)
s.serve_forever()`;
  const child = Bun.spawn(["nsenter", `--net=${sandbox.netnsPath}`, "python3", "-c", script], {
    stdout: "pipe",
    stderr: "inherit",
  });
  undo.push(async () => {
    child.kill("SIGKILL");
    await child.exited;
  });
  await child.stdout.getReader().read();
  return child.pid;
};

const get = async (url: string): Promise<string> =>
  (
    await fetch(url, { signal: AbortSignal.timeout(3000), headers: { connection: "close" } })
  ).text();

/** The same from inside a sandbox. */
const getInside = async (sandbox: Sandbox, url: string): Promise<string> => {
  const child = Bun.spawn(["nsenter", `--net=${sandbox.netnsPath}`, "curl", "-s", "-m", "1", url], {
    stdout: "pipe",
    stderr: "ignore",
  });
  const text = await child.stdout.text();
  return (await child.exited) === 0 ? text : "failed";
};

const hostIp = (): string => {
  const out = Bun.spawnSync([
    "ip",
    "-4",
    "-o",
    "addr",
    "show",
    "scope",
    "global",
  ]).stdout.toString();
  const line = out.split("\n").find((l) => !/ (nr|docker|br-)/.test(l)) ?? "";
  return /inet ([\d.]+)/.exec(line)?.[1] ?? "";
};

const order = (containerId: string, sandbox: Sandbox, ports: Record<string, string[]>) => ({
  containerId,
  containerName: containerId,
  sandbox,
  ports: Object.fromEntries(
    Object.entries(ports).map(([key, list]) => [
      key,
      list.map((text) => {
        const [ip = "", port = ""] = text.includes(":") ? text.split(":") : ["", text];
        return { HostIp: ip, HostPort: port };
      }),
    ]),
  ),
});

test("published ports answer on loopback, the host's address, and from containers", async () => {
  const { service } = await makeInstance();
  await service.restore([]);
  const a = await service.acquire({ containerId: "a", mode: "bridge" });
  const b = await service.acquire({ containerId: "b", mode: "bridge" });
  await serve(a, "A");
  const wishes = order("a", a, { "80/tcp": ["", "127.0.0.1:"] });
  const realized = await service.publish({ ...wishes, ports: { ...wishes.ports, "9/sctp": null } });
  expect(realized["9/sctp"]).toBeNull();
  const [any, local] = realized["80/tcp"]!;
  expect(any!.HostIp).toBe("0.0.0.0");
  expect(local!.HostIp).toBe("127.0.0.1");
  expect(Number(any!.HostPort)).toBeGreaterThanOrEqual(32_768);

  const gateway = service.hostGateway();
  expect(await get(`http://127.0.0.1:${any!.HostPort}/`)).toBe(`A ${gateway}`);
  expect(await get(`http://127.0.0.1:${local!.HostPort}/`)).toBe(`A ${gateway}`);
  expect(await get(`http://${hostIp()}:${any!.HostPort}/`)).toStartWith("A ");
  expect(await get(`http://${gateway}:${any!.HostPort}/`)).toStartWith("A ");
  expect(await get(`http://${a.ip}/`)).toBe(`A ${gateway}`);
  // Neighbour, by its address, by the host's, by the gateway; and the container itself (hairpin).
  expect(await getInside(b, `http://${a.ip}/`)).toBe(`A ${b.ip}`);
  expect(await getInside(b, `http://${hostIp()}:${any!.HostPort}/`)).toBe(`A ${gateway}`);
  expect(await getInside(b, `http://${gateway}:${any!.HostPort}/`)).toBe(`A ${gateway}`);
  expect(await getInside(a, `http://${hostIp()}:${any!.HostPort}/`)).toBe(`A ${gateway}`);
  // What is published on loopback alone stays there.
  expect(await getInside(b, `http://${gateway}:${local!.HostPort}/`)).toBe("failed");

  await service.unpublish("a");
  expect(get(`http://127.0.0.1:${any!.HostPort}/`)).rejects.toThrow();
}, 30_000);

test("the host's loopback is shut to containers", async () => {
  const { service } = await makeInstance();
  await service.restore([]);
  const a = await service.acquire({ containerId: "a", mode: "bridge" });
  const server = Bun.serve({ port: 0, hostname: "0.0.0.0", fetch: () => new Response("host") });
  undo.push(() => server.stop(true));
  expect(await getInside(a, `http://${service.hostGateway()}:${server.port}/`)).toBe("host");
  namespaceKernel.inNetns(a.netnsPath, () => {
    writeSysctl("net/ipv4/conf/eth0/route_localnet", 1);
    Bun.spawnSync(["ip", "addr", "del", "127.0.0.1/8", "dev", "lo"]);
    Bun.spawnSync(["ip", "route", "flush", "table", "local", "127.0.0.0/8"]);
    Bun.spawnSync(["ip", "route", "add", "127.0.0.0/8", "via", a.gateway]);
  });
  expect(await getInside(a, `http://127.0.0.1:${server.port}/`)).toBe("failed");
}, 30_000);

test("port conflicts are named, ours and others'", async () => {
  const { service } = await makeInstance();
  await service.restore([]);
  const a = await service.acquire({ containerId: "a", mode: "bridge" });
  const b = await service.acquire({ containerId: "b", mode: "bridge" });
  const port = String(28_600 + Number.parseInt(randomHex(1), 16));
  await service.publish(order("a", a, { "80/tcp": [port] }));
  expect(service.publish(order("b", b, { "81/tcp": [""], "80/tcp": [port] }))).rejects.toThrow(
    `driver failed programming external connectivity on endpoint b (${b.endpointId}): Bind for 0.0.0.0:${port} failed: port is already allocated`,
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
  const a = await service.acquire({ containerId: "a", mode: "bridge" });
  const gone = await service.acquire({ containerId: "gone", mode: "bridge" });
  const none = await service.acquire({ containerId: "none", mode: "none" });
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
  expect(next.get("bridge").id).toBe(a.networkId);
  expect(next.get(next.get("host").id.slice(0, 8)).name).toBe("host");
  const seen = new Set([a.ip]);
  for (let count = 0; count < 20; count += 1) {
    seen.add((await next.acquire({ containerId: "x", mode: "bridge" })).ip);
  }
  expect(seen.size).toBe(21);
  const b = await next.acquire({ containerId: "b", mode: "bridge" });
  expect(
    next.publish(order("b", b, { "80/tcp": [ports["80/tcp"]![0]!.HostPort] })),
  ).rejects.toThrow("allocated");
  expect(existsSync(gone.netnsPath)).toBe(false);
  expect(readdirSync(`${execRoot}/netns`).length).toBeGreaterThan(20);
}, 30_000);

test("two instances stand side by side", async () => {
  const first = await makeInstance();
  const second = await makeInstance({ bip: "10.213.7.1/24" });
  await first.service.restore([]);
  await second.service.restore([]);
  const a = await first.service.acquire({ containerId: "a", mode: "bridge" });
  const b = await second.service.acquire({ containerId: "b", mode: "bridge" });
  expect(b.ip).toStartWith("10.213.7.");
  await serve(a, "A");
  await serve(b, "B");
  const ports = await second.service.publish(order("b", b, { "80/tcp": [""] }));
  expect(await getInside(a, `http://${b.ip}/`)).toBe("failed");
  expect(await getInside(b, `http://${a.ip}/`)).toBe("failed");
  const port = ports["80/tcp"]![0]!.HostPort;
  expect(await getInside(a, `http://${hostIp()}:${port}/`)).toStartWith("B ");
  expect(first.service.publish(order("a", a, { "80/tcp": [port] }))).rejects.toThrow(
    "another process",
  );
}, 30_000);

test("instances that start in the same moment get different subnets", async () => {
  const instances = await Promise.all([makeInstance(), makeInstance(), makeInstance()]);
  expect(new Set(instances.map(({ service }) => service.info().subnet)).size).toBe(3);
});

test("a named address and MAC are wired to order", async () => {
  const { service } = await makeInstance({ bip: "10.213.8.1/24" });
  await service.restore([]);
  const made = await service.acquire({
    containerId: "a",
    mode: "bridge",
    ip: "10.213.8.77",
    mac: "02:00:00:00:00:77",
  });
  const inside = Bun.spawnSync([
    "nsenter",
    `--net=${made.netnsPath}`,
    "ip",
    "addr",
  ]).stdout.toString();
  expect(inside).toContain("inet 10.213.8.77/24");
  expect(inside).toContain("link/ether 02:00:00:00:00:77");
  expect(inside).toContain("inet 127.0.0.1/8");
  expect(service.acquire({ containerId: "b", mode: "bridge", ip: "10.213.8.77" })).rejects.toThrow(
    "in use",
  );
  expect(service.acquire({ containerId: "b", mode: "bridge", ip: "10.9.8.77" })).rejects.toThrow(
    "subnet",
  );
  expect(service.acquire({ containerId: "b", mode: "bridge", mac: "zz" })).rejects.toThrow("MAC");
  service.release(made);
  service.release(made);
});

test("a hundred ports are published and withdrawn in one step each", async () => {
  const { service } = await makeInstance();
  await service.restore([]);
  const a = await service.acquire({ containerId: "a", mode: "bridge" });
  const ports = Object.fromEntries(
    Array.from({ length: 100 }, (_, index) => [`${1000 + index}/tcp`, [""]]),
  );
  const before = performance.now();
  await service.publish(order("a", a, ports));
  const published = performance.now();
  await service.unpublish("a");
  const withdrawn = performance.now();
  expect(service.info().publishedPorts).toBe(0);
  expect(published - before).toBeLessThan(500);
  expect(withdrawn - published).toBeLessThan(500);
});

test("nothing is left after reset", async () => {
  const { service, instanceId, execRoot } = await makeInstance();
  await service.restore([]);
  await service.acquire({ containerId: "a", mode: "bridge" });
  await service.acquire({ containerId: "b", mode: "none" });
  expect(host.linksNamed(`nr${instanceId}`)).toHaveLength(1);
  await service.reset();
  expect(host.linksNamed(`nr${instanceId}`)).toEqual([]);
  expect(host.linksNamed(`v${instanceId}`)).toEqual([]);
  expect(existsSync(`${execRoot}/netns`)).toBe(false);
  const tables = Bun.spawnSync(["nft", "list", "tables"]).stdout.toString();
  expect(tables).not.toContain(instanceId);
});
