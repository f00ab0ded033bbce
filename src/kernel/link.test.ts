import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import type { NaruError } from "#lib/errors.ts";
import { createLinkKernel } from "#kernel/link.ts";
import { createKernel } from "#kernel/real.ts";

const kernel = createKernel();
const links = createLinkKernel();
let root = "";
/** Stands for the host, so that nothing here touches the real one. */
let host = "";
const inside = <T>(work: () => T): T => kernel.inNetns(host, work);
const run = (path: string, command: string): string =>
  kernel.inNetns(path, () => Bun.spawnSync(["sh", "-c", command]).stdout.toString());

beforeAll(() => {
  root = mkdtempSync("/tmp/naru-link-");
  host = `${root}/host`;
  kernel.createNetns(host);
});
afterAll(() => {
  for (const point of kernel.mountsUnder(root)) kernel.removeNetns(point);
  rmSync(root, { recursive: true, force: true });
});

const failure = (work: () => unknown): NaruError => {
  try {
    work();
  } catch (error) {
    return error as NaruError;
  }
  throw new Error("nothing was thrown");
};

test("a bridge with two containers on it carries packets", async () => {
  inside(() =>
    links.createBridge("br0", {
      addresses: ["10.99.0.1/24", "fd00:99::1/64"],
      mtu: 1400,
      mac: "02:42:00:00:00:01",
    }),
  );
  for (const n of [2, 3]) {
    const netnsPath = `${root}/c${n}`;
    kernel.createNetns(netnsPath);
    inside(() =>
      links.createVeth({
        hostName: `v${n}`,
        bridge: "br0",
        peerName: "eth0",
        netnsPath,
        peerMac: `02:42:0a:63:00:0${n}`,
        mtu: 1400,
        isHairpin: n === 2,
        isIsolated: n === 3,
      }),
    );
    links.configureEndpoint({
      netnsPath,
      name: "eth0",
      addresses: [`10.99.0.${n}/24`, `fd00:99::${n}/64`],
      gateways: ["10.99.0.1", "fd00:99::1"],
      routes: [{ destination: "192.0.2.0/24" }],
    });
  }
  const route = run(`${root}/c2`, "ip route; ip -6 route show default");
  expect(route).toContain("default via 10.99.0.1 dev eth0");
  expect(route).toContain("192.0.2.0/24 dev eth0");
  expect(route).toContain("default via fd00:99::1 dev eth0");
  const eth0 = links.listLinks(`${root}/c2`).find((link) => link.name === "eth0");
  expect(eth0).toMatchObject({ kind: "veth", mac: "02:42:0a:63:00:02", mtu: 1400, isUp: true });
  const bridge = inside(() => links.listLinks()).find((link) => link.name === "br0");
  expect(bridge).toMatchObject({ kind: "bridge", mac: "02:42:00:00:00:01", isUp: true });
  const port = inside(() => links.listLinks()).find((link) => link.name === "v3");
  expect(port?.masterIndex).toBe(bridge!.index);
  const ports = [2, 3].map((n) => run(host, `ip -d link show v${n}; ip -6 address show v${n}`));
  expect(ports[0]).toMatch(/hairpin on.* isolated off/);
  expect(ports[1]).toMatch(/hairpin off.* isolated on/);
  expect(ports.join("")).not.toContain("inet6 fe80");
  // A connection to the other container: refused by it, hence reached it.
  const answer = run(
    `${root}/c2`,
    `bash -c 'exec 3<>/dev/tcp/10.99.0.3/9' 2>&1; bash -c 'exec 3<>/dev/tcp/fd00:99::3/9' 2>&1`,
  );
  expect(answer.match(/refused/g)?.length).toBe(4);
  const counters = links.listLinks(`${root}/c3`).find((link) => link.name === "eth0")!.counters;
  expect(counters.rxPackets).toBeGreaterThan(1);
  expect(counters.rxBytes).toBeGreaterThan(100);
  expect(counters.txErrors).toBe(0);
});

test("addresses and routes of the host, for choosing free subnets", () => {
  expect(inside(() => links.hostAddresses("br0")).slice(0, 1)).toEqual(["10.99.0.1/24"]);
  expect(inside(() => links.hostAddresses())).toContain("127.0.0.1/8");
  const routes = inside(() => links.hostRoutes());
  expect(routes).toContain("10.99.0.0/24");
  expect(routes).toContain("fd00:99::/64");
  expect(routes.filter((route) => route.startsWith("127.") || route.endsWith("/0"))).toEqual([]);
});

test("links are found, deleted, and deleting twice is fine", async () => {
  expect(inside(() => links.linkExists("v2"))).toBe(true);
  await inside(() => ({ promise: links.deleteLinks(["v2", "absent"]) })).promise;
  expect(inside(() => links.linkExists("v2"))).toBe(false);
  expect(links.listLinks(`${root}/c2`).map((link) => link.name)).not.toContain("eth0");
  inside(() => links.deleteLink("v3"));
  inside(() => links.deleteLink("v3"));
  expect(inside(() => links.linkIndex("v3"))).toBeUndefined();
});

test("errors name the interface and carry the kernel's own words", () => {
  const taken = failure(() => inside(() => links.createBridge("br0", { addresses: [] })));
  expect(taken).toMatchObject({
    code: "already_exists",
    details: { errno: "EEXIST", path: "br0" },
  });
  const half = failure(() =>
    inside(() => links.createBridge("br1", { addresses: ["10.0.0.1/24", "10.0.0.1/24"] })),
  );
  expect(half.details["path"]).toBe("10.0.0.1/24");
  expect(inside(() => links.linkExists("br1"))).toBe(false);
  const netnsPath = `${root}/c2`;
  const veth = { hostName: "v9", peerName: "eth0", netnsPath };
  expect(failure(() => inside(() => links.createVeth({ ...veth, bridge: "none" }))).message).toBe(
    'the interface "none" does not exist',
  );
  expect(failure(() => links.createVeth({ ...veth, hostName: "x".repeat(16) })).code).toBe(
    "invalid_argument",
  );
  const gateway = { netnsPath, name: "lo", addresses: [], gateways: ["203.0.113.1"] };
  expect(failure(() => links.configureEndpoint(gateway)).message).toMatch(/"0.0.0.0\/0".*invalid/i);
});
