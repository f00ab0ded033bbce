/** Published ports: forms, paths they can be reached on, conflicts. */
import { expect } from "bun:test";

import {
  BUSYBOX,
  FULL,
  check,
  docker,
  dockerOk,
  engine,
  field,
  inspect,
  enterNet,
  onNet,
  shOk,
  until,
} from "../harness/check.ts";

const WEB = ["sh", "-c", 'echo "port ${P:-80}" > /index.html; httpd -f -p ${P:-80} -h /'] as const;

/** Free ports of this process's own range; each is handed out once. */
let next = 20_000 + ((process.pid * 97) % 12_000);
const port = (count = 1): number => {
  const first = next;
  next += count;
  return first;
};

const get = (address: string): Promise<string> =>
  until(
    `an answer on ${address}`,
    () =>
      onNet("busybox", "wget", "-q", "-O", "-", `http://${address}/index.html`).catch(
        () => undefined,
      ),
    undefined,
    100,
  );

interface Binding {
  readonly HostIp: string;
  readonly HostPort: string;
}

const portsOf = async (name: string): Promise<Record<string, Binding[] | null>> =>
  (await inspect<{ NetworkSettings: { Ports: Record<string, Binding[] | null> } }>(name))
    .NetworkSettings.Ports;

check("from 127.0.0.1 on the host", async (t) => {
  const p = port();
  await t.up("-p", `${p}:80`, BUSYBOX, ...WEB);
  expect(await get(`127.0.0.1:${p}`)).toBe("port 80");
});

check("from the host's own address", async (t) => {
  const p = port();
  await t.up("-p", `${p}:80`, BUSYBOX, ...WEB);
  expect(await get(`${engine.hostIp}:${p}`)).toBe("port 80");
});

check("from another machine's side", async (t) => {
  const p = port();
  await t.up("-p", `${p}:80`, BUSYBOX, ...WEB);
  await get(`127.0.0.1:${p}`);
  const reply = await fetch(`http://${engine.hostIp}:${p}/index.html`, {
    signal: AbortSignal.timeout(60_000),
  });
  expect(await reply.text()).toBe("port 80\n");
});

check(
  "from another container by the host's address and by the gateway",
  async (t) => {
    const p = port();
    const name = await t.up("-p", `${p}:80`, BUSYBOX, ...WEB);
    await get(`127.0.0.1:${p}`);
    const gateway = await field(name, "{{.NetworkSettings.Networks.bridge.Gateway}}");
    const fetchBoth = `timeout 30 wget -q -O - http://${gateway}:${p}/index.html; timeout 30 wget -q -O - http://${engine.hostIp}:${p}/index.html`;
    expect(await shOk([], fetchBoth)).toBe("port 80\nport 80");
  },
  { skip: engine.hostIp === "127.0.0.1" ? "the host's address is not known" : undefined },
);

check("hairpin: the container itself by the host's address", async (t) => {
  const p = port();
  const name = await t.up("-p", `${p}:80`, BUSYBOX, ...WEB);
  await get(`127.0.0.1:${p}`);
  const gateway = await field(name, "{{.NetworkSettings.Networks.bridge.Gateway}}");
  expect(
    await dockerOk("exec", name, "wget", "-q", "-O", "-", `http://${gateway}:${p}/index.html`),
  ).toBe("port 80");
});

check("a port of the host is not reached on another address than named", async (t) => {
  const p = port();
  await t.up("-p", `127.0.0.1:${p}:80`, BUSYBOX, ...WEB);
  expect(await get(`127.0.0.1:${p}`)).toBe("port 80");
  const other = onNet(
    "busybox",
    "wget",
    "-q",
    "-O",
    "-",
    `http://${engine.hostIp}:${p}/index.html`,
  );
  const outcome = await other.then(
    () => "reached",
    () => "refused",
  );
  expect(outcome).toBe(engine.hostIp === "127.0.0.1" ? "reached" : "refused");
});

check("-p with a host address is in inspect and port", async (t) => {
  const p = port();
  const name = await t.up("-p", `127.0.0.1:${p}:80`, BUSYBOX, ...WEB);
  expect((await portsOf(name))["80/tcp"]).toEqual([{ HostIp: "127.0.0.1", HostPort: String(p) }]);
  expect(await dockerOk("port", name)).toBe(`80/tcp -> 127.0.0.1:${p}`);
});

check("-p CONTAINERPORT takes a free port of the host", async (t) => {
  const name = await t.up("-p", "80", BUSYBOX, ...WEB);
  const chosen = (await portsOf(name))["80/tcp"]?.[0]?.HostPort ?? "0";
  expect(Number(chosen)).toBeGreaterThan(1023);
  expect(await get(`127.0.0.1:${chosen}`)).toBe("port 80");
});

check("a random port with a host address", async (t) => {
  const name = await t.up("-p", "127.0.0.1::80", BUSYBOX, ...WEB);
  const [binding, ...more] = (await portsOf(name))["80/tcp"] ?? [];
  expect(more).toEqual([]);
  expect(binding?.HostIp).toBe("127.0.0.1");
  expect(await get(`127.0.0.1:${binding?.HostPort}`)).toBe("port 80");
});

check("a range to a range", async (t) => {
  const p = port(3);
  const name = await t.up("-e", "P=8001", "-p", `${p}-${p + 2}:8000-8002`, BUSYBOX, ...WEB);
  expect(await get(`127.0.0.1:${p + 1}`)).toBe("port 8001");
  const lines = (await dockerOk("port", name, "8002/tcp")).split("\n");
  expect(lines[0]).toBe(`0.0.0.0:${p + 2}`);
});

check("a range for one port takes the first free one", async (t) => {
  const p = port(3);
  const one = await t.up("-p", `${p}-${p + 2}:80`, BUSYBOX, ...WEB);
  const two = await t.up("-p", `${p}-${p + 2}:80`, BUSYBOX, ...WEB);
  const ports = await Promise.all(
    [one, two].map(async (n) => Number((await portsOf(n))["80/tcp"]?.[0]?.HostPort)),
  );
  expect(new Set(ports).size).toBe(2);
  for (const chosen of ports) expect(chosen >= p && chosen <= p + 2).toBe(true);
});

check("ranges of different length are refused", async () => {
  const out = await docker(["run", "--rm", "-p", "30000-30002:80-81", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
});

/** An echo server and a question, both as programs of this machine on the networks named. */
const UDP_ECHO =
  'await Bun.udpSocket({port:53,hostname:"0.0.0.0",socket:{data(s,b,p,a){s.send("got "+b,p,a)}}})';
const udpAsk = (address: string, p: number): string =>
  `const s=await Bun.udpSocket({socket:{data(x,b){console.log(String(b));process.exit(0)}}});` +
  `s.send("ping",${p},"${address}");setTimeout(()=>process.exit(1),1000)`;

check("udp", async (t) => {
  const p = port();
  const name = await t.idle("-p", `${p}:53/udp`);
  expect((await portsOf(name))["53/udp"]?.[0]).toEqual({ HostIp: "0.0.0.0", HostPort: String(p) });
  const pid = await field(name, "{{.State.Pid}}");
  const server = Bun.spawn(["nsenter", "-t", pid, "-n", "--", process.execPath, "-e", UDP_ECHO]);
  t.defer(async () => {
    server.kill("SIGKILL");
    await server.exited;
  });
  for (const address of ["127.0.0.1", engine.hostIp]) {
    const reply = await until(`an answer by udp on ${address}`, () =>
      onNet(process.execPath, "-e", udpAsk(address, p)).catch(() => undefined),
    );
    expect(reply).toBe("got ping");
  }
});

check("tcp and udp on the same number", async (t) => {
  const p = port();
  const name = await t.up("-p", `${p}:80/tcp`, "-p", `${p}:80/udp`, BUSYBOX, ...WEB);
  const lines = (await dockerOk("port", name)).split("\n");
  expect(lines).toContain(`80/tcp -> 0.0.0.0:${p}`);
  expect(lines).toContain(`80/udp -> 0.0.0.0:${p}`);
});

check("one container port on two host ports", async (t) => {
  const [a, b] = [port(), port()];
  const name = await t.up("-p", `${a}:80`, "-p", `${b}:80`, BUSYBOX, ...WEB);
  expect([await get(`127.0.0.1:${a}`), await get(`127.0.0.1:${b}`)]).toEqual([
    "port 80",
    "port 80",
  ]);
  expect((await portsOf(name))["80/tcp"]?.filter((x) => x.HostIp === "0.0.0.0").length).toBe(2);
});

check("-P publishes the image's EXPOSE", async (t) => {
  const name = await t.create("-P", "--entrypoint", "sleep", FULL, "60");
  await dockerOk("start", name);
  const ports = await portsOf(name);
  expect(Object.keys(ports).sort()).toEqual(["53/udp", "80/tcp"]);
  expect(Number(ports["80/tcp"]?.[0]?.HostPort)).toBeGreaterThan(1023);
});

check("--expose alone shows the port unbound", async (t) => {
  const name = await t.idle("--expose", "1234", "--expose", "2000-2001/udp");
  expect(await portsOf(name)).toEqual({ "1234/tcp": null, "2000/udp": null, "2001/udp": null });
  expect(await dockerOk("port", name)).toBe("");
});

check("a port in use by another container is refused with its number", async (t) => {
  const p = port();
  await t.up("-p", `${p}:80`, BUSYBOX, ...WEB);
  const name = t.name();
  t.defer(() => docker(["rm", "-f", name]));
  const out = await docker(["run", "-d", "--name", name, "-p", `${p}:80`, BUSYBOX, ...WEB]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/port is already allocated|address already in use/i);
  expect(out.stderr).toContain(String(p));
  expect(await field(name, "{{.State.Status}}")).toBe("created");
});

check("a port in use by a program of the host is refused", async (t) => {
  const p = port();
  const holder = Bun.spawn([...enterNet, "busybox", "nc", "-l", "-p", String(p)], {
    stdin: "pipe",
  });
  t.defer(async () => {
    holder.kill("SIGKILL");
    await holder.exited;
  });
  await until("it listens", async () => (await onNet("ss", "-Hltn")).includes(`:${p} `));
  const out = await docker(["run", "--rm", "-p", `${p}:80`, BUSYBOX, "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/address already in use|already allocated/i);
});

check("a port is free again after stop and after rm -f", async (t) => {
  const p = port();
  const first = await t.up("-p", `${p}:80`, BUSYBOX, ...WEB);
  await dockerOk("stop", "-t", "0", first);
  const second = await t.up("-p", `${p}:80`, BUSYBOX, ...WEB);
  await dockerOk("rm", "-f", second);
  await t.up("-p", `${p}:80`, BUSYBOX, ...WEB);
  expect(await get(`127.0.0.1:${p}`)).toBe("port 80");
});

check("a fixed port stays through a restart", async (t) => {
  const p = port();
  const name = await t.up("-p", `${p}:80`, BUSYBOX, ...WEB);
  await dockerOk("restart", "-t", "0", name);
  expect(await get(`127.0.0.1:${p}`)).toBe("port 80");
});

check("an invalid port is refused", async () => {
  for (const text of ["99999:80", "80:0x50", "1.2.3:80:80"]) {
    expect((await docker(["run", "--rm", "-p", text, BUSYBOX, "true"])).code).toBe(125);
  }
});

check("ps shows the ports", async (t) => {
  const p = port();
  const name = await t.up("-p", `127.0.0.1:${p}:80`, BUSYBOX, ...WEB);
  expect(await dockerOk("ps", "--filter", `name=${name}`, "--format", "{{.Ports}}")).toBe(
    `127.0.0.1:${p}->80/tcp`,
  );
});

check("port with a port that is not published is an error", async (t) => {
  const name = await t.idle();
  const out = await docker(["port", name, "81"]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/no public port '81/i);
});

check("many connections at once all get their answer", async (t) => {
  const p = port();
  await t.up("-p", `${p}:80`, BUSYBOX, ...WEB);
  await get(`127.0.0.1:${p}`);
  const replies = await Promise.all(
    Array.from({ length: 40 }, async () =>
      (await fetch(`http://${engine.hostIp}:${p}/index.html`)).text(),
    ),
  );
  expect(new Set(replies)).toEqual(new Set(["port 80\n"]));
});

check("-p with --network host is ignored with a warning", async () => {
  const out = await docker([
    "run",
    "--rm",
    "--network",
    "host",
    "-p",
    "80:80",
    BUSYBOX,
    "echo",
    "ran",
  ]);
  expect(out.stdout).toBe("ran\n");
  expect(out.stderr).toMatch(/Published ports are discarded/i);
});

check("without a network no port is shown", async (t) => {
  const name = await t.idle("--network", "none", "--expose", "80", "-p", "90");
  expect(await portsOf(name)).toEqual({});
  expect(await dockerOk("ps", "--filter", `name=${name}`, "--format", "{{.Ports}}")).toBe("");
});
