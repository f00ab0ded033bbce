/** The front door of a daemon: names lead to containers while these, and the daemon, come and go. */
import { expect } from "bun:test";

import { until } from "../harness/process.ts";
import { IMAGE, openWorld, type Daemon } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

const { hostIp } = world.isolation;
const PORT = 8085;
const COMPOSE = "com.docker.compose";
const FLAGS = ["--front-door", "--front-door-http", `${hostIp}:${PORT}`];
const FLAGS_TLS = [...FLAGS, "--front-door-https", `${hostIp}:8445`];

const ask = async (host: string): Promise<{ status: number; text: string }> => {
  const headers = { host: `${host}.naru.localhost` };
  const answer = await fetch(`http://${hostIp}:${PORT}/`, { keepalive: false, headers });
  return { status: answer.status, text: (await answer.text()).trim() };
};

/** Who answers under the name in a few questions. */
const answering = async (host: string): Promise<Set<string>> => {
  const seen = new Set<string>();
  for (let count = 0; count < 6; count += 1) {
    const { status, text } = await ask(host);
    seen.add(status === 200 ? text : String(status));
  }
  return seen;
};

const who = (host: string, ...names: string[]): Promise<unknown> =>
  until(`${names.join(" and ")} under ${host}`, async () => {
    const seen = await answering(host).catch(() => new Set<string>());
    return seen.symmetricDifference(new Set(names)).size === 0;
  });

/** A container that serves its own name, as compose would label it. */
const serveName = (daemon: Daemon, name: string, options: readonly string[] = []): Promise<void> =>
  daemon.up(
    name,
    ["--label", `${COMPOSE}.project=shop`, "--label", `${COMPOSE}.service=web`].concat(
      ["--expose", "80"],
      options,
    ),
    "sh",
    "-c",
    `mkdir -p /www && echo ${name} > /www/index.html && exec httpd -f -p 80 -h /www`,
  );

scenario(
  "replicas come, go, and fall ill; the daemon dies, and comes back",
  async () => {
    const roots = world.roots("door");
    let daemon = await world.start(roots, { flags: FLAGS_TLS });
    await daemon.loadImage();
    await serveName(daemon, "web-1");
    await who("web.shop", "web-1");
    await serveName(daemon, "web-2");
    await who("web.shop", "web-1", "web-2");
    await who("web-2", "web-2");
    const check = ["--health-cmd", "test ! -e /ill", "--health-interval", "200ms"];
    await serveName(daemon, "web-3", [...check, "--health-retries", "1"]);
    await who("web.shop", "web-1", "web-2", "web-3");
    await daemon.dockerOk("exec", "web-3", "touch", "/ill");
    await who("web.shop", "web-1", "web-2");
    await daemon.dockerOk("stop", "-t", "0", "web-1");
    await who("web.shop", "web-2");

    await daemon.end("SIGKILL");
    expect(await answering("web.shop")).toEqual(new Set(["web-2"]));
    daemon = await world.start(roots, { flags: FLAGS_TLS });
    expect(await answering("web.shop")).toEqual(new Set(["web-2"]));
    await daemon.dockerOk("start", "web-1");
    await who("web.shop", "web-1", "web-2");
    await daemon.dockerOk("stop", "-t", "0", "web-1", "web-2");
    await until("503", async () => (await ask("web.shop")).status === 503);
    const { text } = await ask("web.shop");
    expect(text).toContain("web-3: its health check fails");

    // Whoever switches it off has it no more.
    await daemon.end("SIGKILL");
    daemon = await world.start(roots);
    expect(await ask("web.shop").then(String, () => "refused")).toBe("refused");
    const off = await world.cli(["-H", `unix://${roots.socketPath}`, "front-door", "ls"]);
    expect([off.code, off.stderr]).toEqual([1, expect.stringContaining("--front-door")]);
  },
  300_000,
);

scenario(
  "its certificate authority is told; a port that is taken is told, and tried again",
  async () => {
    const roots = world.roots("door-tls");
    const daemon = await world.start(roots);
    await daemon.loadImage();
    await daemon.dockerOk(
      "run",
      "-d",
      "--name",
      "holder",
      "-p",
      `${hostIp}:${PORT}:80`,
      IMAGE,
      "sleep",
      "99",
    );
    const engine = ["-H", `unix://${roots.socketPath}`];
    await daemon.end("SIGTERM");
    const next = await world.start(roots, { flags: FLAGS_TLS });
    const ls = async () => await world.cli([...engine, "front-door", "ls"]);
    const told = await until("the problem", async () => {
      const said = await ls();
      return said.stderr.includes("problem:") && said;
    });
    expect(told.code).toBe(1);
    expect(told.stderr).toContain('container "holder" publishes it');
    expect(told.stderr).toContain("--front-door-http");
    const ca = await world.cli([...engine, "front-door", "ca"]);
    expect(ca.stdout).toStartWith("-----BEGIN CERTIFICATE-----");
    await next.dockerOk("rm", "-f", "holder");
    await until("the port", async () => (await ls()).code === 0);
    expect((await ask("nobody")).status).toBe(404);
  },
  300_000,
);

nothingIsLeft();
