/** Names in sandboxes, against the real kernel. Needs root. */
import { afterEach, expect, test } from "bun:test";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { type DecodedPacket, decode, encode } from "dns-packet";
import { acquire, at, cleanUp, host, makeInstance, undo } from "#network/instance.fake.ts";
import type { Sandbox } from "#network/network.ts";

afterEach(cleanUp);

interface AskOptions {
  readonly isTcp?: boolean;
  readonly type?: "A" | "PTR";
}

/** Asks 127.0.0.11 from within, as a program there would; `ms` is from its question to its answer. */
const askTimed = async (
  sandbox: Sandbox,
  name: string,
  options: AskOptions = {},
): Promise<{ readonly packet: DecodedPacket; readonly ms: number }> => {
  const { isTcp = false, type = "A" } = options;
  const bytes = encode({ type: "query", id: 7, flags: 256, questions: [{ type, name }] });
  const script = `import socket,sys,struct,time
q=bytes.fromhex("${bytes.toString("hex")}")
s=socket.socket(socket.AF_INET, socket.${isTcp ? "SOCK_STREAM" : "SOCK_DGRAM"}); s.settimeout(8)
s.connect(("127.0.0.11",53)); began=time.monotonic()
${isTcp ? 's.sendall(struct.pack("!H",len(q))+q); n=struct.unpack("!H",s.recv(2))[0]; r=b""\nwhile len(r)<n: r+=s.recv(n)' : "s.send(q); r=s.recv(4096)"}
print(r.hex(), (time.monotonic()-began)*1000)`;
  const child = Bun.spawn(["nsenter", `--net=${sandbox.netnsPath}`, "python3", "-c", script], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [text, complaint] = [await child.stdout.text(), await child.stderr.text()];
  if ((await child.exited) !== 0) throw new Error(complaint);
  const [hex = "", ms] = text.trim().split(" ");
  return { packet: decode(Buffer.from(hex, "hex")), ms: Number(ms) };
};

const ask = async (
  sandbox: Sandbox,
  name: string,
  options: AskOptions = {},
): Promise<DecodedPacket> => (await askTimed(sandbox, name, options)).packet;

const dataOf = (packet: DecodedPacket): unknown[] =>
  (packet.answers ?? []).map((answer) => (answer as { data?: unknown }).data);

const world = async () => {
  const { service, reborn, execRoot } = await makeInstance();
  await service.restore([]);
  for (const Name of ["one", "two"]) await service.create({ Name });
  return { service, reborn, execRoot };
};

test("names, aliases and reverse names, by UDP and TCP, in one's own networks alone", async () => {
  const { service } = await world();
  const a = await acquire(service, "a", { network: "one", names: ["alpha", "web"] });
  const b = await acquire(service, "b", { network: "one", names: ["beta", "web"] });
  const c = await acquire(service, "c", { network: "two", names: ["gamma"] });
  expect(dataOf(await ask(a, "beta"))).toEqual([at(b).ip]);
  expect(dataOf(await ask(a, "beta", { isTcp: true }))).toEqual([at(b).ip]);
  expect(new Set(dataOf(await ask(a, "web")))).toEqual(new Set([at(a).ip, at(b).ip]));
  const reversed = at(b).ip.split(".").toReversed().join(".");
  expect(dataOf(await ask(a, `${reversed}.in-addr.arpa`, { type: "PTR" }))).toEqual(["beta.one"]);
  expect(dataOf(await ask(c, "gamma"))).toEqual([at(c).ip]);
  expect(dataOf(await ask(c, "host.docker.internal"))).toEqual([service.hostGateway()]);

  const joined = await service.connect(c, { network: "one", names: ["gamma", "late"] });
  expect(dataOf(await ask(a, "late"))).toEqual([joined.endpoints[1]!.ip]);
  expect(dataOf(await ask(joined, "alpha"))).toEqual([at(a).ip]);
  const renamed = service.rename(b, () => ["delta"]);
  expect(dataOf(await ask(a, "delta"))).toEqual([at(b).ip]);
  expect(dataOf(await ask(a, "web"))).toEqual([at(a).ip]);
  service.release(renamed);
  // An open socket would keep the namespace, and with it the cable.
  const deadline = Date.now() + 60_000;
  while (host.hasLink(at(b).linkName) && Date.now() < deadline) await Bun.sleep(10);
  expect(host.hasLink(at(b).linkName)).toBe(false);
}, 300_000);

test("other names go to the servers that were named, in order; an internal network asks nobody", async () => {
  const { service } = await world();
  const asked: string[] = [];
  const server = await Bun.udpSocket({
    hostname: service.hostGateway(),
    port: 53,
    socket: {
      data: (socket, bytes, port, address) => {
        const { id = 0, questions = [] } = decode(bytes);
        const name = questions[0]?.name ?? "";
        asked.push(name);
        const answers = [{ type: "A" as const, name, ttl: 9, data: "192.0.2.80" }];
        // A forged answer first: to another question, under the right id.
        const other = [{ type: "A" as const, name: "forged.example" }];
        socket.send(encode({ type: "response", id, questions: other, answers }), port, address);
        socket.send(encode({ type: "response", id, questions, answers }), port, address);
      },
    },
  });
  undo.push(() => server.close());
  // Nobody listens at the first: the second answers.
  const nameservers = ["127.0.0.99", service.hostGateway()];
  const a = await service.acquire({
    containerId: "a",
    mode: "bridge",
    endpoints: [{ network: "one", names: ["alpha"] }],
    nameservers,
  });
  const answer = await ask(a, "elsewhere.example");
  expect(dataOf(answer)).toEqual(["192.0.2.80"]);
  expect([answer.id, answer.questions?.[0]?.name]).toEqual([7, "elsewhere.example"]);
  await service.create({ Name: "inner", Internal: true });
  const inner = await service.acquire({
    containerId: "i",
    mode: "bridge",
    endpoints: [{ network: "inner", names: ["iota"] }],
    nameservers,
  });
  expect(await ask(inner, "secret.example")).toMatchObject({ rcode: "SERVFAIL" });
  expect(dataOf(await ask(inner, "iota"))).toEqual([at(inner).ip]);
  expect(asked).toEqual(["elsewhere.example"]);
}, 300_000);

test("a container may have port 53 for itself, and names are answered while the daemon is away", async () => {
  const { service, reborn } = await world();
  const a = await acquire(service, "a", { network: "one", names: ["alpha"] });
  const own = Bun.spawn(
    [
      "nsenter",
      `--net=${a.netnsPath}`,
      "python3",
      "-c",
      `import socket,time
for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
    s=socket.socket(socket.AF_INET, kind); s.bind(("0.0.0.0", 53)); globals()[kind.name]=s
SOCK_STREAM.listen(); print("ready", flush=True); time.sleep(600)`,
    ],
    { stdout: "pipe", stderr: "inherit" },
  );
  undo.push(async () => {
    own.kill("SIGKILL");
    await own.exited;
  });
  expect(new TextDecoder().decode((await own.stdout.getReader().read()).value)).toStartWith(
    "ready",
  );
  expect(dataOf(await ask(a, "alpha"))).toEqual([at(a).ip]);
  await service.stop();
  expect(dataOf(await ask(a, "alpha"))).toEqual([at(a).ip]);
  expect(dataOf(await ask(a, "alpha", { isTcp: true }))).toEqual([at(a).ip]);
  const next = reborn();
  await next.start();
  const entry = { containerId: "a", containerName: "a", sandbox: a, ports: {} };
  expect((await next.restore([entry])).lost).toEqual([]);
  expect(dataOf(await ask(a, "alpha"))).toEqual([at(a).ip]);
  expect(dataOf(await ask(a, "alpha", { isTcp: true }))).toEqual([at(a).ip]);
}, 300_000);

test("of several that share a name those are answered that are well; all, where none is", async () => {
  const { service } = await world();
  const replica = (containerId: string, health?: "starting") =>
    service.acquire({
      containerId,
      mode: "bridge",
      endpoints: [{ network: "one", names: [containerId, "web"] }],
      ...(health === undefined ? {} : { health }),
    });
  const one = await replica("w1", "starting");
  const two = await replica("w2", "starting");
  const asker = await acquire(service, "a", { network: "one", names: ["alpha"] });
  const web = async (): Promise<Set<unknown>> => new Set(dataOf(await ask(asker, "web")));
  expect(await web()).toEqual(new Set([at(one).ip, at(two).ip]));
  service.setHealth(one, "healthy");
  expect(await web()).toEqual(new Set([at(one).ip]));
  service.setHealth(two, "healthy");
  service.setHealth(one, "unhealthy");
  expect(await web()).toEqual(new Set([at(two).ip]));
  // Its own name leads there all the same.
  expect(dataOf(await ask(asker, "w1"))).toEqual([at(one).ip]);
  const three = await replica("w3");
  expect(await web()).toEqual(new Set([at(two).ip, at(three).ip]));
}, 300_000);

test("a resolver that was killed is back at once, and knows what it knew", async () => {
  const { service, execRoot } = await world();
  const a = await acquire(service, "a", { network: "one", names: ["alpha"] });
  const pids = (): number[] =>
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name) && existsSync(`/proc/${name}/cmdline`))
      .filter((name) =>
        readFileSync(`/proc/${name}/cmdline`, "utf8").includes(`${execRoot}/net.sock`),
      )
      .map(Number);
  const [first, ...others] = pids();
  expect(others).toEqual([]);
  process.kill(first!, "SIGKILL");
  const deadline = Date.now() + 60_000;
  let found: unknown[] = [];
  while (found.length === 0 && Date.now() < deadline)
    found = await ask(a, "alpha").then(dataOf, () => []);
  expect(found).toEqual([at(a).ip]);
  expect(pids()).not.toContain(first);
}, 300_000);

test("with servers that are silent, failure is told soon", async () => {
  const { service } = await world();
  /** A machine that is busy for a moment makes one answer late, not each of them. */
  const soonest = async (boxes: readonly Sandbox[]): Promise<number> => {
    const told = await Promise.all(boxes.map((box) => askTimed(box, "elsewhere.example")));
    for (const { packet } of told) expect(packet).toMatchObject({ rcode: "SERVFAIL" });
    return Math.min(...told.map(({ ms }) => ms));
  };
  const boxes: Sandbox[] = [];
  // Each has a server of its own: what is known of one says nothing of another.
  for (const [index, name] of ["alpha", "beta", "gamma"].entries()) {
    const address = `127.0.0.${90 + index}`;
    const silent = await Bun.udpSocket({ hostname: address, port: 53, socket: {} });
    undo.push(() => silent.close());
    boxes.push(
      await service.acquire({
        containerId: name,
        mode: "bridge",
        endpoints: [{ network: "one", names: [name] }],
        nameservers: [address, "127.0.0.99"],
      }),
    );
  }
  expect(await soonest(boxes)).toBeLessThan(4000);
  // They are known to be silent by now.
  expect(await soonest(boxes)).toBeLessThan(1500);
  // Who is near is found all the same.
  expect(dataOf(await ask(boxes[0]!, "alpha"))).toEqual([at(boxes[0]!).ip]);
}, 300_000);
