/** Network modes and the default networks. */
import { expect } from "bun:test";

import {
  BUSYBOX,
  check,
  docker,
  dockerOk,
  field,
  inspect,
  onHost,
  onNet,
  sh,
  shOk,
  skipOn,
  until,
} from "../harness/check.ts";

interface NetworkInfo {
  readonly Name: string;
  readonly Id: string;
  readonly Driver: string;
  readonly Scope: string;
  readonly Internal: boolean;
  readonly IPAM: {
    readonly Config: readonly { readonly Subnet: string; readonly Gateway?: string }[] | null;
  };
  readonly Containers: Record<string, { readonly Name: string; readonly IPv4Address: string }>;
}

const network = (name: string): Promise<NetworkInfo> =>
  dockerOk("network", "inspect", name).then((text) => (JSON.parse(text) as NetworkInfo[])[0]!);

check("the three networks are there", async () => {
  const names = (
    await dockerOk("network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Scope}}")
  ).split("\n");
  for (const line of ["bridge bridge local", "host host local", "none null local"])
    expect(names).toContain(line);
});

check("network inspect bridge: subnet and gateway", async () => {
  const info = await network("bridge");
  expect(info).toMatchObject({ Name: "bridge", Driver: "bridge", Scope: "local", Internal: false });
  expect(info.IPAM.Config?.[0]?.Subnet).toMatch(/^\d+\.\d+\.\d+\.\d+\/\d+$/);
  expect(info.Id).toMatch(/^[0-9a-f]{64}$/);
});

check("network inspect host and none", async () => {
  expect(await network("host")).toMatchObject({ Name: "host", Driver: "host" });
  expect(await network("none")).toMatchObject({ Name: "none", Driver: "null" });
});

check("network inspect of an unknown one", async () => {
  const out = await docker(["network", "inspect", "e2e-missing"]);
  expect(out.code).toBe(1);
  expect(out.stdout.trim()).toBe("[]");
  expect(out.stderr).toMatch(/not found/);
});

check("network ls filters", async () => {
  const ls = (filter: string): Promise<string> =>
    dockerOk("network", "ls", "--filter", filter, "--format", "{{.Name}}");
  expect((await ls("driver=host")).split("\n")).toEqual(["host"]);
  expect((await ls("name=bridge")).split("\n")).toContain("bridge");
  expect((await ls("type=builtin")).split("\n").sort()).toEqual(["bridge", "host", "none"]);
  expect((await docker(["network", "ls", "--filter", "nonsense=1"])).code).toBe(1);
});

check("a container has eth0 with an address of the bridge and a default route", async (t) => {
  const name = await t.idle();
  const address = await field(name, "{{.NetworkSettings.Networks.bridge.IPAddress}}");
  const gateway = await field(name, "{{.NetworkSettings.Networks.bridge.Gateway}}");
  expect(await dockerOk("exec", name, "ip", "-4", "-o", "addr", "show", "eth0")).toContain(
    `inet ${address}/`,
  );
  expect(await dockerOk("exec", name, "ip", "route")).toContain(`default via ${gateway} dev eth0`);
});

check("inspect: endpoint fields are filled while running and empty after", async (t) => {
  const name = await t.idle();
  interface Endpoint {
    readonly EndpointID: string;
    readonly MacAddress: string;
    readonly IPAddress: string;
    readonly IPPrefixLen: number;
    readonly NetworkID: string;
  }
  const get = async (): Promise<Endpoint> =>
    (await inspect<{ NetworkSettings: { Networks: Record<string, Endpoint> } }>(name))
      .NetworkSettings.Networks["bridge"]!;
  const running = await get();
  expect(running.EndpointID).toMatch(/^[0-9a-f]{64}$/);
  expect(running.MacAddress).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
  expect(running.IPPrefixLen).toBeGreaterThan(0);
  await dockerOk("kill", name);
  await dockerOk("wait", name);
  const ended = await get();
  expect([ended.IPAddress, ended.EndpointID, ended.IPPrefixLen]).toEqual(["", "", 0]);
});

check("network inspect lists running containers", async (t) => {
  const name = await t.idle();
  const id = await field(name, "{{.Id}}");
  const address = await field(name, "{{.NetworkSettings.Networks.bridge.IPAddress}}");
  const entry = (await network("bridge")).Containers[id];
  expect(entry?.Name).toBe(name);
  expect(entry?.IPv4Address).toStartWith(`${address}/`);
});

check("two containers reach each other by address", async (t) => {
  const server = await t.up(BUSYBOX, "sh", "-c", "echo served > /index.html; httpd -f -p 80 -h /");
  const address = await field(server, "{{.NetworkSettings.Networks.bridge.IPAddress}}");
  const ask = `until wget -q -O - http://${address}/index.html; do sleep 0.1; done`;
  expect(await shOk([], ask)).toBe("served");
});

check("a container answers pings", async (t) => {
  const name = await t.idle();
  const address = await field(name, "{{.NetworkSettings.Networks.bridge.IPAddress}}");
  expect(await shOk([], `ping -c 1 -W 20 ${address} | grep -c '1 packets received'`)).toBe("1");
});

check("the host reaches a container by address", async (t) => {
  const name = await t.up(BUSYBOX, "sh", "-c", "echo served > /index.html; httpd -f -p 80 -h /");
  const address = await field(name, "{{.NetworkSettings.Networks.bridge.IPAddress}}");
  const url = `http://${address}/index.html`;
  const text = await until("an answer", () =>
    onNet("busybox", "wget", "-q", "-O", "-", url).catch(() => undefined),
  );
  expect(text).toBe("served");
});

check("addresses are not given twice", async (t) => {
  const names = await Promise.all(Array.from({ length: 5 }, () => t.idle()));
  const addresses = await Promise.all(
    names.map((n) => field(n, "{{.NetworkSettings.Networks.bridge.IPAddress}}")),
  );
  expect(new Set(addresses).size).toBe(5);
});

check("--network none: loopback only", async () => {
  expect(
    await shOk(
      ["--network", "none"],
      "ls /sys/class/net 2>/dev/null || ip -o link | wc -l; ip -o link | grep -c UP",
    ),
  ).toContain("1");
  expect(await shOk(["--network", "none"], "ip -o link | wc -l")).toBe("1");
  expect(await shOk(["--network", "none"], "ip -4 -o addr show lo | grep -c 127.0.0.1")).toBe("1");
});

check("a running container leaves none for other networks, and comes back", async (t) => {
  const box = await t.idle("--network", "none");
  const networks = (): Promise<string> =>
    dockerOk("inspect", "-f", "{{range $k, $_ := .NetworkSettings.Networks}}{{$k}} {{end}}", box);
  const links = (): Promise<string> => dockerOk("exec", box, "sh", "-c", "ip -o link | wc -l");
  const connect = async (name: string): Promise<string> =>
    (await docker(["network", "connect", name, box])).stderr.trim();
  const ALONE = /one of the networks in private \(none\) mode/;
  expect(await connect("bridge")).toMatch(ALONE);
  expect(await connect("none")).toMatch(/already exists in network none/);
  await dockerOk("network", "disconnect", "none", box);
  expect([await networks(), await links()]).toEqual(["", "1"]);
  expect(await connect("bridge")).toBe("");
  expect([await networks(), await links()]).toEqual(["bridge", "2"]);
  expect(await dockerOk("exec", box, "ip", "route")).toContain("default via");
  expect(await connect("none")).toMatch(ALONE);
  await dockerOk("network", "disconnect", "bridge", box);
  expect(await connect("none")).toBe("");
  expect([await networks(), await links()]).toEqual(["none", "1"]);
  await dockerOk("network", "disconnect", "none", box);
  await connect("bridge");
  await dockerOk("restart", "-t", "0", box);
  expect([await networks(), await links()]).toEqual(["bridge", "2"]);
});

check("--network host: the host's links and name", async () => {
  const links = await shOk(
    ["--network", "host"],
    "ip -o link | cut -d: -f2 | cut -d@ -f1 | tr -d ' '",
  );
  const host = (await onHost("ip", "-o", "link"))
    .split("\n")
    .map((line) => line.split(": ")[1]?.split("@")[0]);
  expect(links.split("\n")).toEqual(expect.arrayContaining(["lo"]));
  expect(host).toEqual(expect.arrayContaining(["lo"]));
  expect(await shOk(["--network", "host"], "readlink /proc/self/ns/net")).toBe(
    await onHost("readlink", "/proc/self/ns/net"),
  );
  expect(await shOk(["--network", "host"], "hostname")).toBe(await onHost("hostname"));
});

check(
  "--network, --pid and --ipc container:NAME mean that container, whatever it is called later",
  async (t) => {
    const owner = await t.idle("--ipc", "shareable");
    const joined = t.name();
    const modes = ["--network", "--pid", "--ipc"].flatMap((flag) => [flag, `container:${owner}`]);
    await dockerOk("create", "--name", joined, ...modes, BUSYBOX, "readlink", "/proc/self/ns/net");
    const id = await dockerOk("inspect", "-f", "{{.Id}}", owner);
    expect(
      await dockerOk(
        "inspect",
        "-f",
        "{{.HostConfig.NetworkMode}} {{.HostConfig.PidMode}} {{.HostConfig.IpcMode}}",
        joined,
      ),
    ).toBe(Array.from({ length: 3 }, () => `container:${id}`).join(" "));
    await dockerOk("rename", owner, `${owner}-later`);
    expect(await dockerOk("start", "-a", joined)).toBe(
      await dockerOk("exec", id, "readlink", "/proc/self/ns/net"),
    );
    await dockerOk("rm", "-f", id);
  },
);

check("--network container:NAME shares links, hosts and hostname", async (t) => {
  const name = await t.idle("-h", "shared-host", "--add-host", "x:1.2.3.4");
  const own = await dockerOk("exec", name, "readlink", "/proc/self/ns/net");
  const out = await shOk(
    ["--network", `container:${name}`],
    "readlink /proc/self/ns/net; hostname; grep -w x /etc/hosts",
  );
  expect(out).toBe(`${own}\nshared-host\n1.2.3.4\tx`);
});

check("--network container: reaches a server on its loopback", async (t) => {
  const name = await t.up(
    BUSYBOX,
    "sh",
    "-c",
    "echo lo > /index.html; httpd -f -p 127.0.0.1:8080 -h /",
  );
  const ask = "until wget -q -O - http://127.0.0.1:8080/index.html; do sleep 0.1; done";
  expect(await shOk(["--network", `container:${name}`], ask)).toBe("lo");
});

check("--network container: with -p or -h is refused", async (t) => {
  const name = await t.idle();
  for (const option of [
    ["-p", "80"],
    ["-h", "x"],
  ]) {
    const out = await docker([
      "run",
      "--rm",
      "--network",
      `container:${name}`,
      ...option,
      BUSYBOX,
      "true",
    ]);
    expect(out.code).toBe(125);
    expect(out.stderr).toMatch(/conflicting options/i);
  }
});

check("--network container: of a stopped one is refused at start", async (t) => {
  const name = await t.create(BUSYBOX, "true");
  const out = await docker(["run", "--rm", "--network", `container:${name}`, BUSYBOX, "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/not running|non running/i);
});

check("--network of an unknown network is refused at start with its name", async () => {
  const out = await docker(["run", "--rm", "--network", "e2e-missing", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/network e2e-missing not found/);
});

check(
  "--mac-address",
  async () => {
    expect(
      await shOk(["--mac-address", "02:42:ac:11:65:43"], "cat /sys/class/net/eth0/address"),
    ).toBe("02:42:ac:11:65:43");
  },
  { skip: skipOn("docker20", "the client sets it per network, API 1.44") },
);

check("an invalid --mac-address is refused", async () => {
  expect((await docker(["run", "--rm", "--mac-address", "nonsense", BUSYBOX, "true"])).code).toBe(
    125,
  );
});

check("builtin networks cannot be removed", async () => {
  for (const name of ["bridge", "host", "none"]) {
    const out = await docker(["network", "rm", name]);
    expect(out.code).toBe(1);
    expect(out.stderr).toMatch(/pre-defined network and cannot be removed/);
  }
});

check("lo is up and 127.0.0.1 works", async () => {
  expect((await sh([], "ping -c 1 -W 20 127.0.0.1 > /dev/null && echo ok")).stdout).toBe("ok\n");
});

check("eth0 has the host path's MTU or less and the counters move", async (t) => {
  const name = await t.idle();
  expect(
    Number(await dockerOk("exec", name, "cat", "/sys/class/net/eth0/mtu")),
  ).toBeGreaterThanOrEqual(1280);
});
