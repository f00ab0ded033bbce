/** Containers on user-defined networks: joined and left, names and aliases, who reaches whom. */
import { expect } from "bun:test";

import {
  api,
  BUSYBOX,
  check,
  docker,
  dockerOk,
  field,
  naruOnly,
  skipOn,
  until,
} from "../harness/check.ts";
import { networkInfo, endpoint, pings, lookup } from "../harness/networks.ts";

check("containers on one network reach each other by address, name and alias", async (t) => {
  const name = await t.network();
  const a = await t.idle("--network", name);
  const b = await t.idle("--network", name, "--network-alias", "buddy");
  expect(await pings(a, (await endpoint(b, name)).IPAddress)).toBe(true);
  expect(await pings(a, b)).toBe(true);
  expect(await pings(a, "buddy")).toBe(true);
  expect(await pings(b, a)).toBe(true);
  expect(await pings(a, (await field(b, "{{.Id}}")).slice(0, 12))).toBe(true);
  expect(await pings(a, `${b}.${name}`)).toBe(true);
  expect(await pings(a, "stranger")).toBe(false);
});

check("resolv.conf points to 127.0.0.11, which answers by UDP and in reverse", async (t) => {
  const name = await t.network();
  const a = await t.idle("--network", name);
  expect(await dockerOk("exec", a, "cat", "/etc/resolv.conf")).toMatch(
    /^nameserver 127\.0\.0\.11$/m,
  );
  expect(await dockerOk("exec", a, "cat", "/etc/resolv.conf")).toMatch(/^options .*ndots:0/m);
  const { IPAddress } = await endpoint(a, name);
  expect(await lookup(a, a)).toContain(IPAddress);
  const reverse = await docker(["exec", a, "nslookup", IPAddress, "127.0.0.11"]);
  expect(reverse.stdout).toContain(`${a}.${name}`);
});

check("an alias of several containers gives them all", async (t) => {
  const name = await t.network();
  const boxes = await Promise.all(
    Array.from({ length: 3 }, () => t.idle("--network", name, "--network-alias", "pool")),
  );
  const addresses = await Promise.all(
    boxes.map(async (box) => (await endpoint(box, name)).IPAddress),
  );
  const text = await lookup(boxes[0]!, "pool");
  for (const address of addresses) expect(text).toContain(address);
});

check("a name follows its container: gone with it, back with it", async (t) => {
  const name = await t.network();
  const a = await t.idle("--network", name);
  const b = await t.idle("--network", name);
  await dockerOk("kill", b);
  await dockerOk("wait", b);
  await until("the name is gone", async () => !(await pings(a, b)));
  await dockerOk("start", b);
  expect(await pings(a, b)).toBe(true);
  const renamed = t.name();
  t.defer(() => api("DELETE", `/containers/${renamed}?force=1`));
  await dockerOk("rename", b, renamed);
  expect(await pings(a, renamed)).toBe(true);
});

check("networks are apart", async (t) => {
  const [one, two] = [await t.network(), await t.network()];
  const a = await t.idle("--network", one);
  const b = await t.idle("--network", two);
  const plain = await t.idle();
  const { IPAddress } = await endpoint(b, two);
  expect(await pings(a, IPAddress)).toBe(false);
  expect(await pings(plain, IPAddress)).toBe(false);
  expect(await pings(a, b)).toBe(false);
  expect(await pings(b, (await endpoint(plain, "bridge")).IPAddress)).toBe(false);
});

check("connect and disconnect while running", async (t) => {
  const [one, two] = [await t.network(), await t.network()];
  const a = await t.idle("--network", one);
  const b = await t.idle("--network", two);
  await dockerOk("network", "connect", "--alias", "late", two, a);
  expect(await pings(a, b)).toBe(true);
  expect(await pings(b, "late")).toBe(true);
  expect(await dockerOk("exec", a, "ip", "-o", "-4", "addr", "show", "eth1")).toContain(
    (await endpoint(a, two)).IPAddress,
  );
  expect(Object.values((await networkInfo(two)).Containers).map(({ Name }) => Name)).toEqual(
    expect.arrayContaining([a, b]),
  );
  const again = await docker(["network", "connect", two, a]);
  expect([again.code, again.stderr]).toEqual([
    1,
    expect.stringContaining(`endpoint with name ${a} already exists in network ${two}`),
  ]);
  await dockerOk("network", "disconnect", two, a);
  expect(await pings(a, (await endpoint(b, two)).IPAddress)).toBe(false);
  expect(await endpoint(a, two)).toBeUndefined();
  const gone = await docker(["network", "disconnect", two, a]);
  expect([gone.code, gone.stderr]).toEqual([1, expect.stringContaining("is not connected to")]);
  expect(await dockerOk("exec", a, "ip", "-o", "link")).not.toContain("eth1");
});

check("a stopped container remembers its networks, and has them when it starts", async (t) => {
  const [one, two] = [await t.network(), await t.network()];
  const box = await t.create("--network", one, BUSYBOX, "sleep", "600");
  await dockerOk("network", "connect", "--alias", "second", two, box);
  await dockerOk("start", box);
  const peer = await t.idle("--network", two);
  expect(await pings(peer, "second")).toBe(true);
  expect((await endpoint(box, one)).IPAddress).not.toBe("");
  await dockerOk("restart", "-t", "0", box);
  expect(await pings(peer, "second")).toBe(true);
  await dockerOk("network", "disconnect", one, box);
  expect(await endpoint(box, one)).toBeUndefined();
});

check("internal: neighbours and nobody else", async (t) => {
  const name = await t.network("--internal");
  const a = await t.idle("--network", name);
  const b = await t.idle("--network", name);
  const plain = await t.idle();
  expect(await pings(a, b)).toBe(true);
  expect(await pings(a, (await endpoint(plain, "bridge")).IPAddress)).toBe(false);
  expect(await pings(plain, (await endpoint(a, name)).IPAddress)).toBe(false);
});

check("icc=false: neighbours do not reach each other", async (t) => {
  const name = await t.network("-o", "com.docker.network.bridge.enable_icc=false");
  const a = await t.idle("--network", name);
  const b = await t.idle("--network", name);
  expect(await pings(a, (await endpoint(b, name)).IPAddress)).toBe(false);
  expect(await lookup(a, b)).toContain((await endpoint(b, name)).IPAddress);
});

check("/etc/hosts has the container's address in each network", async (t) => {
  const [one, two] = [await t.network(), await t.network()];
  const box = await t.idle("--network", one, "-h", "myself");
  await dockerOk("network", "connect", two, box);
  const hosts = await dockerOk("exec", box, "cat", "/etc/hosts");
  for (const network of [one, two]) {
    expect(hosts).toContain(`${(await endpoint(box, network)).IPAddress}\tmyself`);
  }
});

check("host and none take part in nothing", async (t) => {
  const name = await t.network();
  for (const mode of ["host", "none"]) {
    const box = await t.idle("--network", mode);
    const out = await docker(["network", "connect", name, box]);
    expect([out.code, out.stderr]).toEqual([
      1,
      expect.stringMatching(/cannot be connected|sharing network namespace/),
    ]);
  }
  const plain = await t.idle();
  const out = await docker(["network", "connect", "host", plain]);
  expect(out.stderr).toMatch(/host network/);
});

check(
  "several networks at once; the highest priority has the default route",
  async (t) => {
    const [one, two] = [await t.network(), await t.network()];
    const box = t.name();
    t.defer(() => api("DELETE", `/containers/${box}?force=1`));
    await dockerOk(
      "run",
      "-d",
      "--name",
      box,
      "--network",
      `name=${one},alias=first`,
      "--network",
      `name=${two},gw-priority=7,mac-address=02:00:00:00:00:09`,
      BUSYBOX,
      "sleep",
      "600",
    );
    const second = await endpoint(box, two);
    expect(second.MacAddress).toBe("02:00:00:00:00:09");
    expect(await dockerOk("exec", box, "ip", "route")).toContain(`default via ${second.Gateway}`);
    expect((await endpoint(box, one)).DNSNames).toEqual(expect.arrayContaining([box, "first"]));
    await dockerOk("network", "disconnect", two, box);
    expect(await dockerOk("exec", box, "ip", "route")).toContain(
      `default via ${(await endpoint(box, one)).Gateway}`,
    );
  },
  { skip: skipOn("docker20", "several endpoints at create came with API 1.44") },
);

check(
  "the host is host.docker.internal, without a flag",
  async (t) => {
    const name = await t.network();
    const box = await t.idle("--network", name);
    const gateway = (await endpoint(await t.idle(), "bridge")).Gateway;
    expect(await lookup(box, "host.docker.internal")).toContain(gateway);
    const plain = await t.idle();
    expect(await dockerOk("exec", plain, "cat", "/etc/hosts")).toContain(
      `${gateway}\thost.docker.internal`,
    );
  },
  { skip: naruOnly("Docker on Linux knows no such name") },
);

check("a network with IPv6: addresses, names, neighbours", async (t) => {
  const hex = Math.floor(Math.random() * 65_536).toString(16);
  const name = await t.network("--ipv6", "--subnet", `fd00:77:${hex}::/64`);
  const a = await t.idle("--network", name);
  const b = await t.idle("--network", name, "--ip6", `fd00:77:${hex}::77`);
  const format = `{{(index .NetworkSettings.Networks "${name}").GlobalIPv6Address}}`;
  expect(await field(b, format)).toBe(`fd00:77:${hex}::77`);
  expect(await dockerOk("exec", a, "ip", "-6", "route")).toContain("default via fd00:77:");
  expect((await docker(["exec", a, "ping", "-6", "-c", "1", "-W", "10", b])).code).toBe(0);
  expect(await pings(a, `fd00:77:${hex}::77`)).toBe(true);
});
