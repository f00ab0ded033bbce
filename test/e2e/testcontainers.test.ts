/**
 * testcontainers for node: exposed port, log wait, exec, files, networks, compose by both tools. Its
 * reaper has a file of its own (ryuk.test.ts).
 */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";

import { BUSYBOX, dockerOk, engine, until } from "../harness/check.ts";
import { clientBinary } from "../harness/client-binary.ts";
import { dockerComposeBinary } from "../harness/compose-binary.ts";
import { naruBinary } from "../harness/naru.ts";

process.env["TESTCONTAINERS_RYUK_DISABLED"] = "true";
process.env["DOCKER_HOST"] = engine.host;
process.env["TESTCONTAINERS_HOST_OVERRIDE"] = engine.hostIp;

const home = mkdtempSync("/tmp/naru-e2e-tc-");
afterAll(() => rmSync(home, { recursive: true, force: true }));
/** A docker client that knows the compose plugin, and one that is naru. */
const clients = { docker: `${home}/docker`, naru: `${home}/naru` };
const writeClient = (path: string, line: string): void =>
  writeFileSync(path, `#!/bin/sh\n${line} "$@"\n`, { mode: 0o755 });
writeClient(clients.docker, `DOCKER_CONFIG=${home} exec ${clientBinary()}`);
writeClient(clients.naru, `NARU_HOST=${engine.host} exec ${naruBinary()}`);
if (dockerComposeBinary !== undefined) {
  mkdirSync(`${home}/cli-plugins`);
  symlinkSync(dockerComposeBinary, `${home}/cli-plugins/docker-compose`);
}
const COMPOSE_CLIENTS = [
  ...(dockerComposeBinary === undefined ? [] : ["docker" as const]),
  "naru" as const,
];
// The client is looked for when the library is loaded.
process.env["PATH"] = `${home}:${process.env["PATH"] ?? ""}`;

const { DockerComposeEnvironment, GenericContainer, Network, Wait } =
  await import("testcontainers");

test("a web server with an exposed port, awaited by its log", async () => {
  const container = await new GenericContainer(BUSYBOX)
    .withCommand([
      "sh",
      "-c",
      "echo hello > /index.html; echo ready to serve; httpd -f -p 8080 -h /",
    ])
    .withExposedPorts(8080)
    .withEnvironment({ A: "from testcontainers" })
    .withLabels({ "e2e.testcontainers": "1" })
    .withWaitStrategy(Wait.forLogMessage("ready to serve"))
    .start();
  try {
    const url = `http://${container.getHost()}:${container.getMappedPort(8080)}/index.html`;
    const reply = await until("the server answers", () => fetch(url).catch(() => undefined));
    expect(await reply.text()).toBe("hello\n");
    const result = await container.exec(["sh", "-c", "echo $A; exit 3"]);
    expect([result.exitCode, result.output]).toEqual([3, "from testcontainers\n"]);
  } finally {
    await container.stop();
  }
}, 240_000);

test("waiting for the listening port", async () => {
  const container = await new GenericContainer(BUSYBOX)
    .withCommand(["sh", "-c", "sleep 0.5; httpd -f -p 8080 -h /etc"])
    .withExposedPorts(8080)
    .start();
  try {
    const url = `http://${container.getHost()}:${container.getMappedPort(8080)}/marker`;
    expect(await (await fetch(url)).text()).toBe("from the image\n");
  } finally {
    await container.stop();
  }
}, 240_000);

test("files and content copied in before the start, an archive out after it", async () => {
  const dir = mkdtempSync("/tmp/naru-e2e-files-");
  writeFileSync(`${dir}/f`, "a file");
  const container = await new GenericContainer(BUSYBOX)
    .withCommand(["sleep", "600"])
    .withCopyFilesToContainer([{ source: `${dir}/f`, target: "/tmp/f" }])
    .withCopyContentToContainer([{ content: "content", target: "/tmp/c" }])
    .start();
  try {
    expect((await container.exec(["cat", "/tmp/f", "/tmp/c"])).output).toBe("a filecontent");
    const archive = await container.copyArchiveFromContainer("/etc/marker");
    let size = 0;
    for await (const chunk of archive) size += (chunk as Buffer).length;
    expect(size).toBeGreaterThan(512);
  } finally {
    await container.stop();
    rmSync(dir, { recursive: true });
  }
}, 240_000);

test("a health check to wait for, restart, logs", async () => {
  const container = await new GenericContainer(BUSYBOX)
    .withCommand(["sh", "-c", "echo started; exec sleep 600"])
    .withHealthCheck({ test: ["CMD-SHELL", "true"], interval: 300, timeout: 60_000, retries: 50 })
    .withWaitStrategy(Wait.forHealthCheck())
    .start();
  try {
    await container.restart({ timeout: 0 });
    const logs = await container.logs();
    const first = await new Promise<string>((resolve) =>
      logs.once("data", (chunk: Buffer | string) => resolve(String(chunk))),
    );
    expect(first).toContain("started");
  } finally {
    await container.stop();
  }
}, 240_000);

test("a mount, a user, a working folder and a tmpfs", async () => {
  const container = await new GenericContainer(BUSYBOX)
    .withCommand(["sleep", "600"])
    .withUser("1000")
    .withWorkingDir("/tmp")
    .withTmpFs({ "/scratch": "rw,size=1m" })
    .start();
  try {
    expect(
      (await container.exec(["sh", "-c", "id -u; pwd; grep -c scratch /proc/mounts"])).output,
    ).toBe("1000\n/tmp\n1\n");
  } finally {
    await container.stop();
  }
}, 240_000);

test("two containers on a network of their own, by alias; nobody else knows it", async () => {
  const network = await new Network().start();
  const server = await new GenericContainer(BUSYBOX)
    .withNetwork(network)
    .withNetworkAliases("store")
    .withCommand(["httpd", "-f", "-p", "80", "-h", "/etc"])
    .start();
  const asker = await new GenericContainer(BUSYBOX)
    .withNetwork(network)
    .withCommand(["sleep", "600"])
    .start();
  const other = await new GenericContainer(BUSYBOX).withCommand(["sleep", "600"]).start();
  try {
    const ask = ["ping", "-c", "1", "-W", "20", "store"];
    expect((await asker.exec(ask)).output).toContain("1 packets received");
    expect((await other.exec(ask)).exitCode).not.toBe(0);
    expect(server.getIpAddress(network.getName())).toMatch(/^\d+\./);
  } finally {
    await Promise.all([server.stop(), asker.stop(), other.stop()]);
    await network.stop();
  }
}, 240_000);

const FILE = `
services:
  web:
    image: ${BUSYBOX}
    command: sh -c "echo $$GREETING > /index.html; echo serving; httpd -f -p 80 -h /"
    environment: { GREETING: "\${GREETING:-nobody}" }
    ports: ["80"]
    init: true
    depends_on: { db: { condition: service_healthy } }
  db:
    image: ${BUSYBOX}
    command: sh -c "touch /ready; sleep 600"
    init: true
    volumes: [data:/data]
    healthcheck: { test: test -e /ready, interval: 1s, start_interval: 100ms, start_period: 300s }
  extra: { image: ${BUSYBOX}, command: sleep 600, init: true, profiles: [more] }
volumes: { data: {} }
`;

test.each(COMPOSE_CLIENTS)(
  "a compose environment by %s compose: up, waits, ports, exec, stop, down",
  async (client) => {
    const folder = mkdtempSync("/tmp/naru-e2e-tc-project-");
    writeFileSync(`${folder}/compose.yaml`, FILE);
    try {
      const environment = await new DockerComposeEnvironment(folder, "compose.yaml")
        .withClientOptions({ executable: { executablePath: clients[client] } })
        .withEnvironment({ GREETING: "ahoy" })
        .withProfiles("more")
        .withWaitStrategy("web-1", Wait.forLogMessage("serving"))
        .withWaitStrategy("db-1", Wait.forHealthCheck())
        .up();
      const web = environment.getContainer("web-1");
      const url = `http://${web.getHost()}:${web.getMappedPort(80)}/index.html`;
      const text = await until("the server answers", async () => {
        const reply = await fetch(url).catch(() => undefined);
        return reply?.ok === true ? await reply.text() : undefined;
      });
      expect(text).toBe("ahoy\n");
      const reached = await environment.getContainer("extra-1").exec(["ping", "-c", "1", "db"]);
      expect(reached.exitCode).toBe(0);
      const project = web.getName().replace(/-web-1$/, "");
      await (await environment.stop()).down();
      const filter = `label=com.docker.compose.project=${project}`;
      expect(await dockerOk("ps", "-aq", "--filter", filter)).toBe("");
      expect(await dockerOk("volume", "ls", "-q", "--filter", filter)).toBe("");
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  240_000,
);
