/** Any number of daemons on one host, and none in another's way. */
import { expect } from "bun:test";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";

import { until } from "../harness/process.ts";
import { IMAGE, openWorld, type Daemon } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

const page = async (port: number): Promise<string> => {
  const response = await fetch(`http://${world.isolation.hostIp}:${port}/name`, {
    keepalive: false,
  });
  return (await response.text()).trim();
};

/** A web server that tells `name`. */
const serve = (daemon: Daemon, name: string, port: number): Promise<void> =>
  daemon.up(
    "web",
    ["-p", `${port}:80`],
    "sh",
    "-c",
    `echo ${name} >/tmp/name; exec httpd -f -p 80 -h /tmp`,
  );

scenario("one data root and one exec root have one daemon", async () => {
  const roots = world.roots("single");
  const daemon = await world.start(roots);
  const other = `unix://${roots.base}/other.sock`;
  const same = await world.fails(roots, { hosts: [other] });
  expect([same.code, same.stderr]).toEqual([
    1,
    expect.stringContaining(
      `another naru daemon (process ${daemon.pid}) uses "${roots.dataRoot}": stop it, or give this one a --data-root and --exec-root of its own`,
    ),
  ]);
  const borrowed = { ...world.roots("borrowed"), execRoot: roots.execRoot };
  const refused = await world.fails(borrowed);
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringContaining(
      `exec root "${roots.execRoot}" belongs to the daemon of "${roots.dataRoot}"`,
    ),
  ]);
  expect((await daemon.api("GET", "/_ping")).text).toBe("OK");
  // A lock ends with its daemon, however that ends.
  await daemon.end("SIGKILL");
  const next = await world.start(roots);
  expect(next.log()).toBe("");
});

scenario(
  "two daemons side by side: names, ports, networks; reset of one leaves the other",
  async () => {
    const [one, two] = await Promise.all([
      world.start(world.roots("one")),
      world.start(world.roots("two")),
    ]);
    await Promise.all([one.loadImage(), two.loadImage()]);
    await serve(one, "one", 8081);
    await serve(two, "two", 8082);
    await until(
      "both pages",
      async () =>
        (await page(8081).catch(() => "")) === "one" &&
        (await page(8082).catch(() => "")) === "two",
    );
    // A port is taken by whoever has it.
    const taken = await two.docker("run", "-d", "-p", "8081:80", IMAGE, "sleep", "60");
    expect([taken.code, taken.stderr]).toEqual([
      125,
      expect.stringMatching(/8081.*(in use|allocated)/),
    ]);
    const ids = await Promise.all(
      [one, two].map((daemon) => daemon.dockerOk("info", "--format", "{{.ID}}")),
    );
    expect(new Set(ids).size).toBe(2);
    const subnets = await Promise.all(
      [one, two].map((daemon) =>
        daemon.dockerOk("network", "inspect", "bridge", "-f", "{{(index .IPAM.Config 0).Subnet}}"),
      ),
    );
    expect(new Set(subnets).size).toBe(2);
    await two.dockerOk("volume", "create", "kept");
    const before = await two.state("web");
    await world.reset(one.roots);
    expect(await one.exited).toBe(0);
    expect([
      existsSync(one.roots.dataRoot),
      existsSync(one.roots.execRoot),
      existsSync(one.roots.socketPath),
    ]).toEqual([false, false, false]);
    expect(await page(8081).catch(() => "nobody")).toBe("nobody");
    expect(await page(8082)).toBe("two");
    expect(await two.state("web")).toEqual(before);
    expect(await two.dockerOk("volume", "ls", "-q")).toBe("kept");
    expect(await two.dockerOk("run", "--rm", IMAGE, "echo", "on")).toBe("on");
    const tables = await world.isolation.exec(["nft", "list", "tables"]);
    expect(tables.stdout).not.toContain(ids[0] ?? "?");
    expect(tables.stdout).toContain(ids[1] ?? "?");
  },
);

scenario("reset refuses what is not a daemon's, and touches nothing of it", async () => {
  const roots = world.roots("mine");
  const daemon = await world.start(roots);
  const foreign = `${world.base}/foreign`;
  mkdirSync(foreign);
  writeFileSync(`${foreign}/photo`, "precious");
  const reset = (...args: string[]) => world.cli(["system", "reset", ...args]);
  const notARoot = await reset("-f", "--data-root", foreign);
  expect([notARoot.code, notARoot.stderr]).toEqual([
    1,
    `naru: "${foreign}" is not the data root of a naru daemon: nothing was removed\n`,
  ]);
  const notItsExec = await reset(
    "-f",
    "--data-root",
    `${world.base}/nowhere`,
    "--exec-root",
    roots.execRoot,
  );
  expect(notItsExec.stderr).toContain(
    `belongs to the daemon of "${roots.dataRoot}": nothing was removed`,
  );
  const nobodyToAsk = await reset("--data-root", roots.dataRoot);
  expect(nobodyToAsk.stderr).toContain("nobody is there to ask: add --force");
  const nothing = await reset("-f", "--data-root", `${world.base}/nowhere`);
  expect(nothing.code).toBe(0);
  expect(existsSync(`${foreign}/photo`)).toBe(true);
  expect((await daemon.api("GET", "/_ping")).text).toBe("OK");
});

nothingIsLeft();
