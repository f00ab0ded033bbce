/** Networks with IPv6 against the real kernel. Needs root. */
import { afterEach, expect, test } from "bun:test";
import {
  acquire,
  at,
  cleanUp,
  host,
  makeInstance,
  order,
  serve,
  undo,
} from "#network/instance.fake.ts";
import type { Sandbox } from "#network/network.ts";

afterEach(cleanUp);

const inside = (sandbox: Sandbox, ...argv: string[]): string => {
  const run = Bun.spawnSync(["nsenter", `--net=${sandbox.netnsPath}`, ...argv]);
  return run.exitCode === 0 ? run.stdout.toString() : `failed ${run.stderr.toString()}`;
};

const serve6 = async (sandbox: Sandbox, text: string): Promise<void> => {
  const script = `import http.server,socket
class S(http.server.ThreadingHTTPServer): address_family=socket.AF_INET6
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body=("${text} "+self.client_address[0]).encode()
        self.send_response(200); self.send_header("content-length",str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self,*a): pass
s=S(("::",80),H)
print("ready",flush=True)
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
};

const fetchIn = (sandbox: Sandbox, url: string): string =>
  inside(sandbox, "curl", "-s", "-g", "-m", "2", url);

test("both families: neighbours, names, routes, ports, apart from other networks, after a restart", async () => {
  const { service, reborn } = await makeInstance();
  await service.restore([]);
  const six = await service.create({ Name: "six", EnableIPv6: true });
  await service.create({
    Name: "other",
    EnableIPv6: true,
    IPAM: { Config: [{ Subnet: "fd00:213:7::/64" }] },
  });
  expect(six.bridge?.ipv6?.subnet).toMatch(/^fd6e:61[0-9a-f:]+\/64$/);
  const a = await acquire(service, "a", { network: "six", names: ["alpha"] });
  const b = await acquire(service, "b", { network: "six", names: ["beta"] });
  const c = await acquire(service, "c", { network: "other", ip6: "fd00:213:7::77", names: ["c"] });
  await serve6(a, "A");
  const address = at(a).ipv6!.ip;
  expect(inside(a, "ip", "-6", "route")).toContain(`default via ${six.bridge!.ipv6!.gateway}`);
  expect(at(c).ipv6?.ip).toBe("fd00:213:7::77");
  expect(fetchIn(b, `http://[${address}]/`)).toBe(`A ${at(b).ipv6!.ip}`);
  expect(fetchIn(c, `http://[${address}]/`)).toStartWith("failed");

  const ports = await service.publish(order("a", a, { "80/tcp": [""] }));
  const [v4, v6] = ports["80/tcp"]!;
  expect([v4!.HostIp, v6!.HostIp, v4!.HostPort]).toEqual(["0.0.0.0", "::", v6!.HostPort]);
  const gateway = six.bridge!.ipv6!.gateway;
  expect(fetchIn(c, `http://[${gateway}]:${v6!.HostPort}/`)).toStartWith("A ");
  expect(
    Bun.spawnSync(["curl", "-s", "-g", `http://[${gateway}]:${v6!.HostPort}/`]).stdout.toString(),
  ).toStartWith("A ");
  // To a container of IPv4 alone TCP is carried, whoever asks and whether or not the address was named.
  const plain = await acquire(service, "p");
  await serve(plain, "P");
  const wanted = order("p", plain, {});
  const named = (key: string) => ({
    ...wanted,
    ports: { [key]: [{ HostIp: "::", HostPort: "" }] },
  });
  const [only] = (await service.publish(named("80/tcp")))["80/tcp"]!;
  expect(only!.HostIp).toBe("::");
  const curl = (address: string, port: string) =>
    Bun.spawnSync(["curl", "-s", "-g", `http://${address}:${port}/`]).stdout.toString();
  expect(curl(`[${gateway}]`, only!.HostPort!)).toStartWith("P ");
  expect(curl("127.0.0.1", only!.HostPort!)).toBe("");
  expect(fetchIn(c, `http://[${gateway}]:${only!.HostPort}/`)).toStartWith("P ");
  const again = (await service.publish(order("p", plain, { "80/tcp": [only!.HostPort!] })))[
    "80/tcp"
  ];
  expect(again).toEqual(["0.0.0.0", "::"].map((HostIp) => ({ ...only!, HostIp })));
  for (const address of [`[${gateway}]`, "[::1]", "127.0.0.1"]) {
    expect(curl(address, only!.HostPort!)).toStartWith("P ");
  }
  expect(service.publish(named("53/udp"))).rejects.toThrow("has no IPv6 address");
  await service.unpublish("p");
  expect(curl(`[${gateway}]`, only!.HostPort!)).toBe("");

  await service.stop();
  const next = reborn();
  await next.start();
  const entry = { containerId: "a", containerName: "a", sandbox: a, ports };
  const other = { containerId: "c", containerName: "c", sandbox: c, ports: {} };
  expect(await next.restore([entry, other])).toEqual({ lost: [], unpublished: [] });
  expect(fetchIn(c, `http://[${gateway}]:${v6!.HostPort}/`)).toStartWith("A ");
  expect(acquire(next, "x", { network: "six", ip6: address })).rejects.toThrow("user configured");
  const fresh = await acquire(next, "y", { network: "six" });
  expect(at(fresh).ipv6!.ip).not.toBe(address);
  await next.unpublish("a");
  expect(fetchIn(c, `http://[${gateway}]:${v6!.HostPort}/`)).toStartWith("failed");
  expect(host.hasLink(six.bridge!.linkName)).toBe(true);
}, 300_000);

test("a routed network: addresses of its own without NAT, open for published ports alone, after a restart too", async () => {
  const { service, reborn } = await makeInstance();
  await service.restore([]);
  const routed = { "com.docker.network.bridge.gateway_mode_ipv6": "routed" };
  for (const name of ["one", "two"]) {
    await service.create({ Name: name, EnableIPv6: true, Options: routed });
  }
  const a = await acquire(service, "a", { network: "one", names: ["a"] });
  const b = await acquire(service, "b", { network: "two", names: ["b"] });
  await serve6(a, "A");
  const url = `http://[${at(a).ipv6!.ip}]/`;
  expect(fetchIn(b, url)).toStartWith("failed");
  const ports = await service.publish(order("a", a, { "80/tcp": [""] }));
  // The host's port leads by IPv4 alone.
  expect(ports["80/tcp"]!.map(({ HostIp }) => HostIp)).toEqual(["0.0.0.0"]);
  expect(fetchIn(b, url)).toBe(`A ${at(b).ipv6!.ip}`);

  await service.stop();
  const next = reborn();
  await next.start();
  const entry = { containerId: "a", containerName: "a", sandbox: a, ports };
  const other = { containerId: "b", containerName: "b", sandbox: b, ports: {} };
  expect(await next.restore([entry, other])).toEqual({ lost: [], unpublished: [] });
  expect(fetchIn(b, url)).toBe(`A ${at(b).ipv6!.ip}`);
  await next.unpublish("a");
  expect(fetchIn(b, url)).toStartWith("failed");
  const local = order("a", a, { "80/tcp": [""] });
  await next.publish({ ...local, ports: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] } });
  expect(fetchIn(b, url)).toStartWith("failed");
}, 300_000);
