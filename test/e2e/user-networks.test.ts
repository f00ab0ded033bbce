/** User-defined networks: made, joined and left; names, aliases, isolation, addresses, events. */
import { expect } from "bun:test";

import {
  api,
  BUSYBOX,
  check,
  docker,
  dockerOk,
  field,
  inspect,
  naruOnly,
  onNet,
  prune,
  skipOn,
  until,
} from "../harness/check.ts";

interface Network {
  readonly Name: string;
  readonly Id: string;
  readonly Driver: string;
  readonly Internal: boolean;
  readonly Attachable: boolean;
  readonly EnableIPv6: boolean;
  readonly ConfigOnly: boolean;
  readonly ConfigFrom: { readonly Network: string };
  readonly IPAM: { readonly Driver: string; readonly Config: Record<string, unknown>[] };
  readonly Containers: Record<string, { readonly Name: string; readonly IPv4Address: string }>;
  readonly Labels: Record<string, string>;
  readonly Options: Record<string, string>;
}

interface Endpoint {
  readonly IPAddress: string;
  readonly Gateway: string;
  readonly EndpointID: string;
  readonly NetworkID: string;
  readonly MacAddress: string;
  readonly Aliases: string[] | null;
  readonly DNSNames: string[] | null;
  readonly IPAMConfig: { readonly IPv4Address?: string } | null;
}

const networkInfo = async (name: string): Promise<Network> =>
  (JSON.parse(await dockerOk("network", "inspect", name)) as Network[])[0]!;

const endpoint = async (container: string, network: string): Promise<Endpoint> =>
  (await inspect<{ NetworkSettings: { Networks: Record<string, Endpoint> } }>(container))
    .NetworkSettings.Networks[network]!;

const pings = async (from: string, to: string): Promise<boolean> =>
  (await docker(["exec", from, "ping", "-c", "1", "-W", "2", to])).code === 0;

const lookup = async (from: string, name: string): Promise<string> => {
  const out = await docker(["exec", from, "nslookup", "-type=a", name]);
  return `${out.stdout}${out.stderr}`;
};

let third = 0;
/** A subnet no other check has: "10.77.3.". */
const block = (): string => `10.77.${(third += 1)}.`;

check("create, inspect, remove", async (t) => {
  const name = await t.network("--label", "a=b", "--attachable");
  const info = await networkInfo(name);
  expect([info.Name, info.Driver, info.Internal, info.Attachable, info.ConfigOnly]).toEqual([
    name,
    "bridge",
    false,
    true,
    false,
  ]);
  expect(info.Id).toMatch(/^[0-9a-f]{64}$/);
  expect(info.Labels).toEqual({ a: "b" });
  expect(info.IPAM.Driver).toBe("default");
  const { Subnet, Gateway } = info.IPAM.Config[0] as { Subnet: string; Gateway: string };
  expect(Subnet).toMatch(/^\d+\.\d+\.\d+\.0\/\d+$/);
  expect(Gateway).toBe(Subnet.replace(/0\/\d+$/, "1"));
  expect(info.Containers).toEqual({});
  expect(await dockerOk("network", "rm", name)).toBe(name);
  const gone = await docker(["network", "inspect", name]);
  expect([gone.code, gone.stderr.trim()]).toEqual([
    1,
    `Error response from daemon: network ${name} not found`,
  ]);
});

check("everything that was asked for is shown", async (t) => {
  const b = block();
  const name = await t.network(
    ...["--subnet", `${b}0/24`, "--ip-range", `${b}64/26`, "--gateway", `${b}9`],
    ...["--aux-address", `router=${b}70`, "--internal", "-o", "com.docker.network.driver.mtu=1300"],
  );
  const info = await networkInfo(name);
  expect(info.IPAM.Config).toEqual([
    {
      Subnet: `${b}0/24`,
      IPRange: `${b}64/26`,
      Gateway: `${b}9`,
      AuxiliaryAddresses: { router: `${b}70` },
    },
  ]);
  expect(info.Internal).toBe(true);
  expect(info.Options).toEqual({ "com.docker.network.driver.mtu": "1300" });
  const box = await t.idle("--network", name);
  const { IPAddress } = await endpoint(box, name);
  expect(Number(IPAddress.split(".")[3])).toBeGreaterThanOrEqual(64);
  expect(Number(IPAddress.split(".")[3])).toBeLessThan(128);
  expect(await dockerOk("exec", box, "cat", "/sys/class/net/eth0/mtu")).toBe("1300");
});

check("list: filters", async (t) => {
  const name = await t.network("--label", `only=${t.name()}`);
  const { Id, Labels } = await networkInfo(name);
  const ls = async (...filters: string[]): Promise<string[]> =>
    (
      await dockerOk(
        ...["network", "ls", "--format", "{{.Name}}"],
        ...filters.flatMap((f) => ["-f", f]),
      )
    ).split("\n");
  expect(await ls(`name=${name}`)).toEqual([name]);
  expect(await ls(`id=${Id.slice(0, 12)}`)).toEqual([name]);
  expect(await ls(`label=only=${Labels["only"]}`)).toEqual([name]);
  expect(await ls(`name=${name}`, "driver=bridge", "type=custom", "scope=local")).toEqual([name]);
  expect(await ls(`name=${name}`, "type=builtin")).toEqual([""]);
  expect(await ls(`name=${name}`, "dangling=true")).toEqual([name]);
});

check(
  "list: a network with a running container does not dangle",
  async (t) => {
    const name = await t.network();
    await t.idle("--network", name);
    const ls = (filter: string): Promise<string> =>
      dockerOk("network", "ls", "--format", "{{.Name}}", "-f", `name=${name}`, "-f", filter);
    expect(await ls("dangling=true")).toBe("");
    expect(await ls("dangling=false")).toBe(name);
  },
  { skip: skipOn("docker20", "its list does not look at endpoints") },
);

check("a name is there once", async (t) => {
  const name = await t.network();
  const again = await docker(["network", "create", name]);
  expect([again.code, again.stderr.trim()]).toEqual([
    1,
    `Error response from daemon: network with name ${name} already exists`,
  ]);
});

check("wrong requests are refused with the words users know", async (t) => {
  const b = block();
  await t.network("--subnet", `${b}0/24`);
  const fails = async (words: RegExp, ...args: string[]): Promise<void> => {
    const own = t.name();
    const out = await docker(["network", "create", ...args, own]);
    if (out.code === 0) await docker(["network", "rm", own]);
    expect([out.code, out.stderr]).toEqual([1, expect.stringMatching(words)]);
  };
  await fails(/Pool overlaps with other one on this address space/, "--subnet", `${b}128/25`);
  await fails(
    /invalid.*10\.78\.1\.300|invalid CIDR|unable to parse/i,
    "--subnet",
    "10.78.1.300/24",
  );
  await fails(/nonsense/, "-d", "nonsense");
});

check("a predefined name cannot be taken", async () => {
  const out = await docker(["network", "create", "none"]);
  expect(out.stderr).toMatch(/operation is not permitted on predefined none network/);
});

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
  expect(await pings(a, b)).toBe(false);
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

check("static addresses", async (t) => {
  const b = block();
  const name = await t.network("--subnet", `${b}0/24`);
  const a = await t.idle("--network", name, "--ip", `${b}77`);
  expect((await endpoint(a, name)).IPAddress).toBe(`${b}77`);
  expect((await endpoint(a, name)).IPAMConfig?.IPv4Address).toBe(`${b}77`);
  await dockerOk("restart", "-t", "0", a);
  expect((await endpoint(a, name)).IPAddress).toBe(`${b}77`);
  const taken = await docker(["run", "--rm", "--network", name, "--ip", `${b}77`, BUSYBOX, "true"]);
  expect([taken.code, taken.stderr]).toEqual([125, expect.stringMatching(/already in use/i)]);
  const other = await t.idle();
  await dockerOk("network", "connect", "--ip", `${b}88`, name, other);
  expect((await endpoint(other, name)).IPAddress).toBe(`${b}88`);
});

check("a static address needs a subnet that the user named", async (t) => {
  const name = await t.network();
  const out = await docker(["run", "--rm", "--network", name, "--ip", "10.9.9.9", BUSYBOX, "true"]);
  expect([out.code, out.stderr]).toEqual([
    125,
    expect.stringMatching(
      /user specified IP address is supported only when connecting to networks with user configured subnets/,
    ),
  ]);
  const plain = await docker(["run", "--rm", "--ip", "10.9.9.9", BUSYBOX, "true"]);
  expect([plain.code, plain.stderr]).toEqual([
    125,
    expect.stringMatching(/supported on user.defined networks only/),
  ]);
  const alias = await docker(["run", "--rm", "--network-alias", "x", BUSYBOX, "true"]);
  expect(alias.stderr).toMatch(/network-scoped aliase?s? (are|is) (only )?supported/i);
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

check("a network in use cannot be removed, and goes when it is not", async (t) => {
  const name = await t.network();
  const box = await t.idle("--network", name);
  const out = await docker(["network", "rm", name]);
  expect([out.code, out.stderr]).toEqual([
    1,
    expect.stringMatching(new RegExp(`network ${name} .*has active endpoints`)),
  ]);
  await dockerOk("kill", box);
  await dockerOk("wait", box);
  await until("it is so", async () => (await docker(["network", "rm", name])).code === 0);
  const start = await docker(["start", box]);
  expect([start.code, start.stderr]).toEqual([1, expect.stringMatching(/network .* not found/)]);
});

check("prune takes what nobody uses", async (t) => {
  const label = t.name();
  const used = await t.network("--label", label);
  const idle = await t.network("--label", label);
  await t.idle("--network", used);
  expect(await prune("network", "-f", "--filter", `label=${label}`)).toContain(idle);
  expect((await docker(["network", "inspect", idle])).code).toBe(1);
  expect((await networkInfo(used)).Name).toBe(used);
});

check("settings for other networks", async (t) => {
  const b = block();
  const settings = await t.network("--config-only", "--subnet", `${b}0/24`, "--label", "x=y");
  expect((await networkInfo(settings)).ConfigOnly).toBe(true);
  const made = await t.network("--config-from", settings);
  const info = await networkInfo(made);
  expect(info.ConfigFrom.Network).toBe(settings);
  expect(info.IPAM.Config[0]).toMatchObject({ Subnet: `${b}0/24` });
  const out = await docker(["network", "rm", settings]);
  expect([out.code, out.stderr]).toEqual([1, expect.stringMatching(/in use/)]);
  await dockerOk("network", "rm", made);
  await dockerOk("network", "rm", settings);
});

check("published ports of a container on a user-defined network", async (t) => {
  const name = await t.network();
  const script = "echo served > /index.html; httpd -f -p 80 -h /";
  const box = await t.up("--network", name, "-p", "127.0.0.1::80", BUSYBOX, "sh", "-c", script);
  const address = await dockerOk("port", box, "80");
  await until(
    "it is so",
    async () => (await docker(["exec", box, "wget", "-qO-", "http://127.0.0.1/"])).code === 0,
  );
  expect(await onNet("busybox", "wget", "-qO-", `http://${address}/`)).toBe("served");
  const second = await t.network();
  await dockerOk("network", "connect", second, box);
  expect(await onNet("busybox", "wget", "-qO-", `http://${address}/`)).toBe("served");
});

check("icc=false: neighbours do not reach each other", async (t) => {
  const name = await t.network("-o", "com.docker.network.bridge.enable_icc=false");
  const a = await t.idle("--network", name);
  const b = await t.idle("--network", name);
  expect(await pings(a, (await endpoint(b, name)).IPAddress)).toBe(false);
  expect(await lookup(a, b)).toContain((await endpoint(b, name)).IPAddress);
});

check("a bridge with a name", async (t) => {
  const link = `e2e${Math.random().toString(36).slice(2, 10)}`;
  const name = await t.network("-o", `com.docker.network.bridge.name=${link}`);
  expect(await onNet("ip", "-o", "link", "show", link)).toContain(link);
  await dockerOk("network", "rm", name);
  await until("it is so", async () => !(await onNet("ip", "-o", "link")).includes(link));
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

check("unknown networks and containers are named", async (t) => {
  const name = await t.network();
  const missing = await docker(["network", "connect", name, "e2e-nobody"]);
  expect(missing.stderr).toMatch(/No such container: e2e-nobody/);
  const box = await t.idle();
  const unknown = await docker(["network", "connect", "e2e-nowhere", box]);
  expect(unknown.stderr).toMatch(/network e2e-nowhere not found/);
});

check("a network is found by the beginning of its id", async (t) => {
  const name = await t.network();
  const { Id } = await networkInfo(name);
  const box = await t.idle("--network", Id.slice(0, 12));
  expect((await networkInfo(Id.slice(0, 16))).Name).toBe(name);
  expect(Object.values((await networkInfo(name)).Containers).map((one) => one.Name)).toEqual([box]);
  expect(
    await dockerOk("network", "rm", "-f", "e2e-nothing-of-that-name").catch(String),
  ).toBeDefined();
});

check("events tell of networks and endpoints", async (t) => {
  const since = String(Math.floor(Date.now() / 1000) - 1);
  const name = await t.network();
  const { Id } = await networkInfo(name);
  const box = await t.idle("--network", name);
  const id = await field(box, "{{.Id}}");
  await dockerOk("rm", "-f", box);
  await until("it is so", async () => (await docker(["network", "rm", name])).code === 0);
  const text = await dockerOk(
    ...["events", "--since", since, "--until", String(Math.floor(Date.now() / 1000) + 1)],
    ...["--filter", "type=network", "--filter", `network=${Id}`],
    ...["--format", "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.container}}"],
  );
  expect(text.split("\n")).toEqual([
    `create ${name} <no value>`,
    `connect ${name} ${id}`,
    `disconnect ${name} ${id}`,
    `destroy ${name} <no value>`,
  ]);
});

check(
  "several networks at once; the highest priority has the default route",
  async (t) => {
    const [one, two] = [await t.network(), await t.network()];
    const box = t.name();
    t.defer(() => api("DELETE", `/containers/${box}?force=1`));
    await dockerOk(
      ...["run", "-d", "--name", box, "--network", `name=${one},alias=first`],
      ...["--network", `name=${two},gw-priority=7,mac-address=02:00:00:00:00:09`],
      ...[BUSYBOX, "sleep", "600"],
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
