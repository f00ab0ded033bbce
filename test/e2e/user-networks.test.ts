/** User-defined networks: made, shown, listed, refused, removed; addresses, ports, events. */
import { expect } from "bun:test";

import {
  api,
  BUSYBOX,
  check,
  docker,
  dockerOk,
  field,
  naruOnly,
  onNet,
  prune,
  skipOn,
  until,
} from "../harness/check.ts";
import { networkInfo, endpoint, block } from "../harness/networks.ts";

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

check("a name with slashes and spaces is inspected, joined, left and removed", async (t) => {
  const name = `${t.name()}/a b`;
  const id = await dockerOk("network", "create", name);
  t.defer(() => docker(["network", "rm", id]));
  const box = await t.up(BUSYBOX, "sleep", "600");
  expect(await dockerOk("network", "inspect", "-f", "{{.Id}}", name)).toBe(id);
  await dockerOk("network", "connect", name, box);
  await dockerOk("network", "disconnect", "-f", name, box);
  expect(await dockerOk("network", "rm", name)).toBe(name);
  expect((await docker(["network", "inspect", id])).code).toBe(1);
});

check("everything that was asked for is shown", async (t) => {
  const b = block();
  const name = await t.network(
    "--subnet",
    `${b}0/24`,
    "--ip-range",
    `${b}64/26`,
    "--gateway",
    `${b}9`,
    "--aux-address",
    `router=${b}70`,
    "--internal",
    "-o",
    "com.docker.network.driver.mtu=1300",
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
      await dockerOk("network", "ls", "--format", "{{.Name}}", ...filters.flatMap((f) => ["-f", f]))
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

check("a bridge with a name", async (t) => {
  const link = `e2e${Math.random().toString(36).slice(2, 10)}`;
  const name = await t.network("-o", `com.docker.network.bridge.name=${link}`);
  expect(await onNet("ip", "-o", "link", "show", link)).toContain(link);
  await dockerOk("network", "rm", name);
  await until("it is so", async () => !(await onNet("ip", "-o", "link")).includes(link));
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
    "events",
    "--since",
    since,
    "--until",
    String(Math.floor(Date.now() / 1000) + 1),
    "--filter",
    "type=network",
    "--filter",
    `network=${Id}`,
    "--format",
    "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.container}}",
  );
  expect(text.split("\n")).toEqual([
    `create ${name} <no value>`,
    `connect ${name} ${id}`,
    `disconnect ${name} ${id}`,
    `destroy ${name} <no value>`,
  ]);
});

check(
  "ports are published and withdrawn while a container runs",
  async (t) => {
    const script = "echo served > /index.html; httpd -f -p 80 -h /";
    const box = await t.up("--network", await t.network(), BUSYBOX, "sh", "-c", script);
    const change = async (body: object) =>
      (await api("POST", `/naru/containers/${box}/ports`, { body })) as { status: number };
    const bindings = async (): Promise<string> => (await docker(["port", box])).stdout.trim();
    const Add = { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] };
    expect((await change({ Add })).status).toBe(200);
    const address = (await bindings()).replace("80/tcp -> ", "");
    await until("it serves", async () => {
      const out = await docker(["exec", box, "wget", "-qO-", "http://127.0.0.1/"]);
      return out.code === 0;
    });
    expect(await onNet("busybox", "wget", "-qO-", `http://${address}/`)).toBe("served");
    // One that is taken changes nothing.
    const HostPort = address.split(":")[1] ?? "";
    const taken = { "81/tcp": [{ HostIp: "127.0.0.1", HostPort }] };
    expect((await change({ Add: taken })).status).toBe(409);
    expect(await onNet("busybox", "wget", "-qO-", `http://${address}/`)).toBe("served");
    await dockerOk("restart", "-t", "0", box);
    expect(await bindings()).toContain("127.0.0.1:");
    expect((await change({ Remove: { "80/tcp": null } })).status).toBe(200);
    expect(await bindings()).toBe("");
    expect((await change({ Remove: { "80/tcp": null } })).status).toBe(404);
  },
  { skip: naruOnly("Docker cannot change ports of a container that exists") },
);

check("a network goes at once when its containers have gone", async (t) => {
  const network = t.name();
  await dockerOk("network", "create", network);
  const names = Array.from({ length: 12 }, () => t.name());
  const HostConfig = { NetworkMode: network };
  await Promise.all(
    names.map(async (name) => {
      const body = { Image: BUSYBOX, Cmd: ["sleep", "99"], HostConfig };
      expect((await api("POST", `/containers/create?name=${name}`, { body })).status).toBe(201);
      expect((await api("POST", `/containers/${name}/start`)).status).toBe(204);
    }),
  );
  await Promise.all(names.map((name) => api("DELETE", `/containers/${name}?force=1`)));
  expect((await api("DELETE", `/networks/${network}`)).status).toBe(204);
});
