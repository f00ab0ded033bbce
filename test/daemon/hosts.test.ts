/** Where the daemon listens, and who may come in. */
import { expect } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import net from "node:net";
import tls from "node:tls";

import { clientBinary } from "../harness/client-binary.ts";
import { must, run, type Output } from "../harness/process.ts";
import { openWorld } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

/** A certificate authority with a server's and a client's certificate, and a stranger's of its own. */
const makeCertificates = async (folder: string, address: string): Promise<void> => {
  mkdirSync(folder);
  const openssl = (...args: string[]): Promise<string> =>
    must(["openssl", ...args], { cwd: folder });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  for (const ca of ["ca", "stranger-ca"]) {
    await openssl(
      "req",
      "-x509",
      ...key,
      "-keyout",
      `${ca}.key`,
      "-out",
      `${ca}.pem`,
      "-subj",
      `/CN=${ca}`,
      "-days",
      "2",
    );
  }
  const issue = async (name: string, ca: string, usage: string, san: string): Promise<void> => {
    await openssl(
      "req",
      ...key,
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.csr`,
      "-subj",
      `/CN=${name}`,
    );
    writeFileSync(`${folder}/${name}.ext`, `extendedKeyUsage=${usage}\nsubjectAltName=${san}\n`);
    await openssl(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      "-CA",
      `${ca}.pem`,
      "-CAkey",
      `${ca}.key`,
      "-CAcreateserial",
      "-extfile",
      `${name}.ext`,
      "-out",
      `${name}.pem`,
      "-days",
      "2",
    );
  };
  await issue("server", "ca", "serverAuth", `IP:${address}`);
  await issue("client", "ca", "clientAuth", "DNS:client");
  await issue("stranger", "stranger-ca", "clientAuth", "DNS:client");
};

/** The docker client over TLS with these certificate names; "" for none. */
const tlsClient = (
  folder: string,
  host: string,
  name: string,
  ...args: string[]
): Promise<Output> =>
  run(
    [
      clientBinary(),
      "-H",
      host,
      "--tlsverify",
      "--tlscacert",
      `${folder}/ca.pem`,
      ...(name === ""
        ? ["--tlscert", "", "--tlskey", ""]
        : ["--tlscert", `${folder}/${name}.pem`, "--tlskey", `${folder}/${name}.key`]),
      ...args,
    ],
    { env: { DOCKER_CONFIG: folder, HOME: folder }, timeoutMs: 90_000 },
  );

/** What a raw TLS client gets for a ping: the answer, or how it was turned away. */
const rawTls = (port: number, options: tls.ConnectionOptions): Promise<string> =>
  new Promise((resolve) => {
    let answer = "";
    const socket = tls.connect({
      host: world.isolation.hostIp,
      port,
      rejectUnauthorized: false,
      ...options,
    });
    socket.on("secureConnect", () => socket.write("GET /_ping HTTP/1.0\r\n\r\n"));
    socket.on("data", (part: Buffer) => (answer += part.toString()));
    socket.on("error", () => resolve(answer === "" ? "refused" : answer));
    socket.on("close", () => resolve(answer === "" ? "refused" : answer));
  });

scenario("mutual TLS lets those in who have a certificate of the CA, and nobody else", async () => {
  const roots = world.roots("tls");
  const folder = `${world.base}/certs`;
  const { hostIp } = world.isolation;
  await makeCertificates(folder, hostIp);
  const daemon = await world.start(roots, {
    hosts: [`tcp://${hostIp}:0`, `unix://${roots.socketPath}`],
    flags: [
      "--tlsverify",
      "--tlscacert",
      `${folder}/ca.pem`,
      "--tlscert",
      `${folder}/server.pem`,
      "--tlskey",
      `${folder}/server.key`,
    ],
  });
  const host = daemon.addresses[0] ?? "";
  const port = Number(host.split(":").at(-1));
  expect(host).toMatch(/^tcp:\/\/198\.18\.\d+\.\d+:\d+$/);
  expect(
    (await tlsClient(folder, host, "client", "version", "--format", "{{.Server.Os}}")).stdout,
  ).toBe("linux\n");
  // Streams work through it too.
  await daemon.loadImage();
  const streamed = await tlsClient(
    folder,
    host,
    "client",
    "run",
    "--rm",
    "daemon/busybox",
    "echo",
    "through",
  );
  expect([streamed.code, streamed.stdout]).toEqual([0, "through\n"]);
  for (const name of ["stranger", ""]) {
    const refused = await tlsClient(folder, host, name, "version");
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/tls|certificate/)]);
  }
  const plain = await run([clientBinary(), "-H", host, "version"], {
    env: { DOCKER_TLS_VERIFY: "" },
  });
  expect(plain.code).toBe(1);
  const pem = (name: string) => ({
    cert: readFileSync(`${folder}/${name}.pem`),
    key: readFileSync(`${folder}/${name}.key`),
  });
  expect(await rawTls(port, pem("client"))).toContain("200 OK");
  expect(await rawTls(port, pem("stranger"))).toBe("refused");
  expect(await rawTls(port, {})).toBe("refused");
  expect(await rawTls(port, { ...pem("client"), maxVersion: "TLSv1.1", minVersion: "TLSv1" })).toBe(
    "refused",
  );
  // The unix socket asks for none.
  expect((await daemon.api("GET", "/_ping")).text).toBe("OK");
  expect(await daemon.end("SIGTERM")).toBe(0);
});

scenario("TCP in the open is refused unless it is written out", async () => {
  const roots = world.roots("tcp");
  const { hostIp } = world.isolation;
  const hosts = [`unix://${roots.socketPath}`, `tcp://${hostIp}:2375`];
  const refused = await world.fails(roots, { hosts });
  expect([refused.code, refused.stdout]).toEqual([1, ""]);
  expect(refused.stderr).toContain(
    "without TLS would give this machine to whoever reaches the port",
  );
  expect(refused.stderr).toContain("--insecure-tcp");
  // All hosts or none.
  expect(existsSync(roots.socketPath)).toBe(false);
  const halfTls = await world.fails(roots, { hosts, flags: ["--tlsverify"] });
  expect(halfTls.stderr).toContain("TLS needs both --tlscert and --tlskey");
  const daemon = await world.start(roots, { hosts, flags: ["--insecure-tcp"] });
  expect(daemon.addresses).toEqual([`unix://${roots.socketPath}`, `tcp://${hostIp}:2375`]);
  expect(daemon.log()).toContain("whoever reaches this port owns this machine");
  const overTcp = await run([
    clientBinary(),
    "-H",
    `tcp://${hostIp}:2375`,
    "info",
    "--format",
    "{{.DockerRootDir}}",
  ]);
  expect(overTcp.stdout.trim()).toBe(roots.dataRoot);
});

const BAD_HOSTS: readonly [host: string, message: string][] = [
  ["unix://relative.sock", "needs an absolute path"],
  [`unix:///tmp/${"x".repeat(110)}`, "a socket's path has at most 107 bytes"],
  ["unix:///etc/passwd", "a file that is no socket stands there"],
  ["http://127.0.0.1:1", "use unix://PATH, tcp://ADDRESS:PORT or fd://"],
  ["tcp://127.0.0.1:99999", "there is no such port"],
  ["tcp://127.0.0.1:x", "is not an address: use tcp://ADDRESS:PORT"],
  ["fd://", "needs a socket from a service manager and none was passed"],
];

scenario("hosts that make no sense are refused in words", async () => {
  const roots = world.roots("bad");
  for (const [host, message] of BAD_HOSTS) {
    const refused = await world.fails(roots, { hosts: [host], flags: ["--insecure-tcp"] });
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining(message)]);
  }
});

scenario("the unix socket is root's and the group's", async () => {
  const roots = world.roots("unix");
  const first = await world.start(roots, { flags: ["--group", "staff"] });
  chmodSync(world.base, 0o755);
  const { mode, uid, gid } = statSync(roots.socketPath);
  expect([mode & 0o777, uid, gid]).toEqual([0o660, 0, 50]);
  const stranger = await run([
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "curl",
    "-s",
    "--unix-socket",
    roots.socketPath,
    "http://d/_ping",
  ]);
  expect([stranger.code, stranger.stdout]).toEqual([7, ""]);
  const member = await run([
    "setpriv",
    "--reuid=65534",
    "--regid=50",
    "--clear-groups",
    "curl",
    "-s",
    "--unix-socket",
    roots.socketPath,
    "http://d/_ping",
  ]);
  expect([member.code, member.stdout]).toEqual([0, "OK"]);
  await first.end("SIGTERM");
  expect(existsSync(roots.socketPath)).toBe(false);
  const unknown = await world.fails(roots, { flags: ["--group", "no-such-group"] });
  expect(unknown.stderr).toContain('group "no-such-group" does not exist: groupadd no-such-group');
});

scenario("a dead daemon's socket is taken over, a living program's is not", async () => {
  const roots = world.roots("stale");
  const first = await world.start(roots);
  await first.end("SIGKILL");
  expect(statSync(roots.socketPath).isSocket()).toBe(true);
  const second = await world.start(roots);
  expect((await second.api("GET", "/_ping")).text).toBe("OK");
  const other = `${world.base}/other.sock`;
  const server = net.createServer(() => undefined).listen(other);
  const refused = await world.fails(world.roots("second"), { hosts: [`unix://${other}`] });
  expect(refused.stderr).toContain(`cannot listen on "${other}": another daemon answers there`);
  server.close();
});

scenario(
  "sockets of a service manager: accepted while it was away, left as they are, plain TCP refused",
  async () => {
    const roots = world.roots("passed");
    const activate = (address: string): string[] => ["systemd-socket-activate", "-l", address];
    // systemd starts the service at the first client, which waits in the socket's queue.
    const starting = world.start(roots, {
      hosts: ["fd://"],
      through: activate(roots.socketPath),
    });
    while (!existsSync(roots.socketPath)) await Bun.sleep(5);
    const before = statSync(roots.socketPath);
    const waiting = await run(["curl", "-s", "--unix-socket", roots.socketPath, "http://d/_ping"]);
    expect(waiting.stdout).toBe("OK");
    const daemon = await starting;
    expect(daemon.addresses).toEqual([`unix://${roots.socketPath}`]);
    await daemon.loadImage();
    expect(await daemon.dockerOk("run", "--rm", "-i", "daemon/busybox", "env")).not.toContain(
      "LISTEN_",
    );
    expect(await daemon.end("SIGTERM")).toBe(0);
    const after = statSync(roots.socketPath);
    expect([after.ino, after.mode]).toEqual([before.ino, before.mode]);
    rmSync(roots.socketPath);
    const { hostIp } = world.isolation;
    const tcp = world.fails(world.roots("passed-tcp"), {
      hosts: ["fd://"],
      through: activate(`${hostIp}:2375`),
    });
    const poke = run([
      "curl",
      "-s",
      "--retry",
      "20",
      "--retry-connrefused",
      "--retry-delay",
      "0",
      "-m",
      "5",
      `http://${hostIp}:2375/_ping`,
    ]);
    expect((await tcp).stderr).toContain('"fd://3" without TLS would give this machine');
    await poke;
  },
);

nothingIsLeft();
