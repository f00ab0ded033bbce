/** Networks in trouble: a clear word, nothing half-made, and all well when the trouble is over. Who must not reach whom. */
import { expect } from "bun:test";

import { until, type Output } from "../harness/process.ts";
import { IMAGE, openWorld, type Daemon } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

const { hostIp } = world.isolation;

/** A program on the isolated host, for as long as the test runs. */
const onHost = (script: string): AsyncDisposable & { readonly ready: Promise<unknown> } => {
  const child = Bun.spawn([...world.isolation.enter, "python3", "-c", script], {
    stdout: "pipe",
    stderr: "inherit",
  });
  return {
    ready: child.stdout.getReader().read(),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
};

const listenOn = (address: string, port: number): ReturnType<typeof onHost> =>
  onHost(
    `import socket
s=socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("${address}", ${port})); s.listen()
print("ready", flush=True)
while True:
    c,_=s.accept(); c.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nsecret"); c.close()`,
  );

interface Network {
  readonly Name: string;
  readonly Containers: Record<string, unknown>;
}

/** Names of bridges: whether one has a carrier is the business of those who come and go on it. */
const links = async (): Promise<string[]> => {
  const { stdout } = await world.isolation.exec(["ip", "-o", "link", "show", "type", "bridge"]);
  return stdout.split("\n").flatMap((line) => line.split(": ")[1] ?? []);
};

const names = async (daemon: Daemon): Promise<string[]> =>
  (JSON.parse((await daemon.api("GET", "/networks")).body.toString()) as Network[])
    .map(({ Name }) => Name)
    .toSorted();

const sleeper = (daemon: Daemon, name: string, ...options: string[]): Promise<void> =>
  daemon.up(name, options, "sleep", "600");

scenario(
  "the address pools run out, and one network's addresses; what goes makes room",
  async () => {
    const roots = world.roots("pools");
    const flags = [
      "--bip",
      "10.215.0.1/24",
      "--default-address-pool",
      "base=10.214.0.0/28,size=29",
    ];
    const daemon = await world.start(roots, { flags });
    await daemon.loadImage();
    for (const name of ["one", "two"]) await daemon.dockerOk("network", "create", name);
    const before = await links();
    const third = await daemon.docker("network", "create", "three");
    expect(third.code).toBe(1);
    expect(third.stderr).toContain("all predefined address pools have been fully subnetted");
    expect(await names(daemon)).toEqual(["bridge", "host", "none", "one", "two"]);
    expect(await links()).toHaveLength(before.length);
    await daemon.dockerOk("network", "rm", "two");
    await daemon.dockerOk("network", "create", "three");

    // 10.214.0.0/29 without its first, its last and the gateway's: five are left.
    for (const name of ["a1", "a2", "a3", "a4", "a5"])
      await sleeper(daemon, name, "--network", "one");
    const full = await daemon.docker(
      "run",
      "-d",
      "--name",
      "a6",
      "--network",
      "one",
      IMAGE,
      "true",
    );
    expect(full.code).toBe(125);
    expect(full.stderr).toContain("no available IPv4 addresses on this network's address pools");
    expect((await daemon.state("a6"))?.Status).toBe("created");
    await daemon.dockerOk("rm", "-f", "a3");
    await until("an address", async () => (await daemon.docker("start", "a6")).code === 0);
  },
);

scenario("a subnet that is somebody's already is refused, and nothing is made", async () => {
  const roots = world.roots("overlap");
  const daemon = await world.start(roots);
  await daemon.dockerOk("network", "create", "--subnet", "10.216.0.0/16", "one");
  const before = await links();
  const refused = async (...options: string[]): Promise<string> => {
    const { code, stderr } = await daemon.docker("network", "create", ...options, "bad");
    expect(code).toBe(1);
    return stderr;
  };
  expect(await refused("--subnet", "10.216.4.0/24")).toContain("Pool overlaps with other one");
  expect(await refused("--subnet", "10.0.0.0/8")).toContain("Pool overlaps with other one");
  expect(await refused("--subnet", "10.217.0.0/24", "--gateway", "10.218.0.1")).toContain(
    "10.218.0.1",
  );
  expect(await links()).toEqual(before);
  expect(await names(daemon)).not.toContain("bad");
  await daemon.dockerOk("network", "create", "--subnet", "10.217.0.0/24", "bad");
});

scenario("a bridge that cannot be: the daemon says so, and ends", async () => {
  const flags = ["--bip", "10.219.0.1/30"];
  const { code, stderr } = await world.fails(world.roots("bip"), { flags });
  expect([code, stderr]).toEqual([1, expect.stringContaining("/8 to /29")]);
});

scenario(
  "a port that is taken: the container does not start, and holds nothing of what it got",
  async () => {
    const roots = world.roots("port");
    const daemon = await world.start(roots, { flags: ["--bip", "10.219.0.1/29"] });
    await daemon.loadImage();
    {
      await using holder = listenOn("0.0.0.0", 8087);
      await holder.ready;
      const ports = ["-p", "8086:80", "-p", "8087:81"];
      const run = await daemon.docker(
        "run",
        "-d",
        "--name",
        "web",
        ...ports,
        IMAGE,
        "sleep",
        "600",
      );
      expect(run.code).toBe(125);
      expect(run.stderr).toContain("8087");
      expect(run.stderr).toContain("address already in use");
      expect((await daemon.state("web"))?.Running).toBe(false);
      // The network's only address and the other port are free for somebody else.
      await until("the address", async () => {
        const other = await daemon.docker("run", "--rm", "-p", "8086:80", IMAGE, "true");
        return other.code === 0;
      });
    }
    await until("a start", async () => (await daemon.docker("start", "web")).code === 0);
  },
);

scenario(
  "name servers that are dead: failure is told soon, and names of containers go on",
  async () => {
    const roots = world.roots("dns");
    const daemon = await world.start(roots);
    await daemon.loadImage();
    await daemon.dockerOk("network", "create", "net");
    await using silent = onHost(
      `import socket,time
s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.77", 53)); print("ready", flush=True); time.sleep(600)`,
    );
    await silent.ready;
    await sleeper(daemon, "peer", "--network", "net");
    await sleeper(daemon, "asker", "--network", "net", "--dns", "127.0.0.77");
    const look = (name: string): Promise<Output> =>
      daemon.docker("exec", "asker", "time", "-p", "nslookup", "-type=a", name);
    /** What the look-up itself took, in there. */
    const failureMs = async (): Promise<number> => {
      const { stdout, stderr } = await look("elsewhere.example");
      // Who asks has patience for five seconds, and says something else after them.
      expect(stdout + stderr).toContain("SERVFAIL");
      return Number(/^real (\S+)$/m.exec(stderr)?.[1]) * 1000;
    };
    await failureMs();
    // The server is known to be silent by now. A machine that is busy for a moment makes one of them late.
    const again = [await failureMs(), await failureMs(), await failureMs()];
    expect(Math.min(...again)).toBeLessThan(2000);
    expect((await look("peer")).stdout).toMatch(/Address: +\d/);
  },
);

scenario(
  "a container does not reach other networks, the daemon, or the host's loopback",
  async () => {
    const roots = world.roots("walls");
    const daemon = await world.start(roots, {
      hosts: [`unix://${roots.socketPath}`, "tcp://127.0.0.1:2399"],
      flags: [
        "--insecure-tcp",
        "--front-door",
        "--front-door-http",
        "127.0.0.1:8089",
        "--front-door-https",
        "off",
      ],
    });
    await daemon.loadImage();
    await using service = listenOn("127.0.0.1", 8088);
    await service.ready;
    const serve = ["sh", "-c", "echo secret > /index.html; exec httpd -f -p 80 -h /"];
    for (const net of ["red", "blue"]) {
      await daemon.dockerOk("network", "create", net);
      await daemon.up(`${net}-web`, ["--network", net, "-p", "127.0.0.1:0:80"], ...serve);
    }
    await daemon.up("default-web", [], ...serve);
    const addressOf = (name: string): Promise<string> =>
      daemon.dockerOk(
        "inspect",
        "-f",
        "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.Gateway}}{{end}}",
        name,
      );
    const [blueIp = "", blueGateway = ""] = (await addressOf("blue-web")).split(" ");
    const [defaultIp = "", defaultGateway = ""] = (await addressOf("default-web")).split(" ");
    const [redIp = "", redGateway = ""] = (await addressOf("red-web")).split(" ");
    const published = (await daemon.dockerOk("port", "blue-web", "80")).split(":").at(-1) ?? "";
    // With every right over its own network, too: routes and addresses of its own making.
    await sleeper(
      daemon,
      "thief",
      "--network",
      "red",
      "--cap-add",
      "NET_ADMIN",
      "--sysctl",
      "net.ipv4.conf.all.route_localnet=1",
    );
    const shell = (script: string): Promise<Output> =>
      daemon.docker("exec", "thief", "sh", "-c", script);
    // busybox's wget needs a C library's resolver files, which are not there: the request by hand.
    const get = async (address: string): Promise<string> => {
      const [ip = "", port = "", path = ""] = address.split(/[:/]/);
      const request = `printf 'GET /${path} HTTP/1.0\\r\\n\\r\\n'`;
      return (await shell(`${request} | nc -w 2 ${ip} ${port} || true`)).stdout;
    };
    await until("the neighbour", async () => (await get(`${redIp}:80`)).includes("secret"));
    const closed = [
      `${blueIp}:80`,
      `${defaultIp}:80`,
      `${blueGateway}:${published}`,
      `${redGateway}:${published}`,
      ...[redGateway, blueGateway, defaultGateway, hostIp].flatMap((host) => [
        `${host}:8088`,
        `${host}:8089`,
        `${host}:2399/version`,
      ]),
    ];
    for (const address of closed) expect([address, await get(address)]).toEqual([address, ""]);
    await shell(
      `ip route replace 127.0.0.0/8 via ${redGateway} table 100; ip rule add pref 0 to 127.0.0.1 table 100; ip rule del pref 0 table local 2>/dev/null; ip rule add pref 10 table local`,
    );
    for (const address of ["127.0.0.1:8088", "127.0.0.1:2399/version", `127.0.0.1:${published}`]) {
      expect([address, await get(address)]).toEqual([address, ""]);
    }
    await shell(
      `ip route add ${blueIp}/32 via ${redGateway}; ip addr add ${blueGateway}/32 dev lo`,
    );
    expect(await get(`${blueIp}:80`)).toBe("");
    // No path to the engine's socket either: nothing of it is in the container.
    const found = await shell(
      "find / -xdev -type s 2>/dev/null; cat /proc/net/unix | grep -c naru.sock",
    );
    expect(found.stdout.trim()).toBe("0");
  },
  300_000,
);

nothingIsLeft();
