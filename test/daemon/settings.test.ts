/** The config file, logs, signals, and what a service manager sees. */
import { expect } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";

import { must, until } from "../harness/process.ts";
import { openWorld, type Roots } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

const writeConfig = (roots: Roots, config: object): string[] => {
  const path = `${roots.base}/daemon.json`;
  writeFileSync(path, JSON.stringify(config));
  return ["--config-file", path];
};

scenario("the config file says what flags do not, and both are seen in info", async () => {
  const roots = world.roots("file");
  const flags = writeConfig(roots, {
    labels: ["where=file"],
    "log-driver": "local",
    "log-opts": { "max-size": "5m" },
    "default-shm-size": "32m",
    bip: "10.231.7.1/24",
    mtu: 1400,
    "log-format": "json",
    debug: true,
    pidfile: `${roots.base}/naru.pid`,
  });
  const daemon = await world.start(roots, { flags: [...flags, "--label", "where=flag"] });
  const format =
    "{{.Labels}} {{.LoggingDriver}} {{.Debug}} {{.LiveRestoreEnabled}} {{.DockerRootDir}}";
  expect(await daemon.dockerOk("info", "--format", format)).toBe(
    `[where=flag] local true true ${roots.dataRoot}`,
  );
  await daemon.loadImage();
  const script = "df -m /dev/shm | tail -1; cat /sys/class/net/eth0/mtu; ip -4 -o addr show eth0";
  const inside = await daemon.dockerOk(
    "run",
    "--name",
    "probe",
    "daemon/busybox",
    "sh",
    "-c",
    script,
  );
  expect(inside).toMatch(/^shm +32 .*\n1400\n.* 10\.231\.7\.\d+\/24/s);
  const logConfig = await daemon.dockerOk(
    "inspect",
    "-f",
    "{{json .HostConfig.LogConfig}}",
    "probe",
  );
  expect(JSON.parse(logConfig)).toEqual({ Type: "local", Config: { "max-size": "5m" } });
  expect(readFileSync(`${roots.base}/naru.pid`, "utf8")).toBe(`${daemon.pid}\n`);
  const second = await world.fails(world.roots("pid"), {
    flags: ["--pidfile", `${roots.base}/naru.pid`],
  });
  expect(second.stderr).toContain(`names a daemon that runs (process ${daemon.pid})`);
  expect(await daemon.end("SIGTERM")).toBe(0);
  expect(existsSync(`${roots.base}/naru.pid`)).toBe(false);
  // Every line of a JSON log is an object with a time, a level and a message.
  const lines = daemon
    .log()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.at(-1)).toMatchObject({ level: "info", msg: "stopping", signal: "SIGTERM" });
  for (const line of lines)
    expect(line).toMatchObject({
      time: expect.stringMatching(/Z$/),
      level: expect.any(String),
      msg: expect.any(String),
    });
});

scenario("a wrong config file or flag ends it at once, with the reason", async () => {
  const roots = world.roots("wrong");
  for (const [config, message] of [
    [{ "data-rot": "/x" }, 'unknown key "data-rot" (known: hosts, data-root'],
    [{ hosts: "unix:///x" }, '"hosts" must be a list of texts, not "unix:///x"'],
    [{ mtu: "1500" }, '"mtu" must be a whole number of 0 or more'],
  ] as const) {
    const failed = await world.fails(roots, { flags: writeConfig(roots, config) });
    expect([failed.code, failed.stdout, failed.stderr]).toEqual([
      1,
      "",
      expect.stringContaining(message),
    ]);
  }
  const flag = await world.fails(roots, { flags: ["--no-such-flag"] });
  expect([flag.code, flag.stderr]).toEqual([
    1,
    expect.stringMatching(/no-such-flag[^]*naru daemon --help/),
  ]);
  expect(existsSync(roots.dataRoot)).toBe(false);
});

scenario(
  "SIGHUP: log level and labels change, the rest is named, a wrong file changes nothing",
  async () => {
    const roots = world.roots("reload");
    const flags = writeConfig(roots, { labels: ["a=1"] });
    const daemon = await world.start(roots, { flags });
    const info = (): Promise<string> =>
      daemon.dockerOk("info", "--format", "{{.Labels}} {{.Debug}}");
    expect(await info()).toBe("[a=1] false");
    const since = String(Math.floor(Date.now() / 1000) - 1);
    writeConfig(roots, { labels: ["a=2"], debug: true, mtu: 1300, "log-format": "json" });
    daemon.signal("SIGHUP");
    await until("a restart is asked for", () =>
      daemon.log().includes("these changes wait for a restart"),
    );
    expect(daemon.log()).toContain('"waiting":["mtu"]');
    expect(await info()).toBe("[a=2] true");
    writeConfig(roots, { labels: ["a=3"], nonsense: true });
    daemon.signal("SIGHUP");
    await until("a refusal", () => daemon.log().includes("the configuration stays as it was"));
    expect(daemon.log()).toContain('unknown key \\"nonsense\\"');
    expect(await info()).toBe("[a=2] true");
    const until0 = String(Math.floor(Date.now() / 1000) + 1);
    const events = await daemon.dockerOk(
      "events",
      "--since",
      since,
      "--until",
      until0,
      "--filter",
      "type=daemon",
      "--format",
      "{{.Action}}",
    );
    expect(events).toBe("reload");
  },
);

scenario(
  "the service manager is told when it is ready, reloads and stops; containers are not",
  async () => {
    const roots = world.roots("manager");
    const path = `${roots.base}/notify`;
    const listener = Bun.spawn(
      [
        "python3",
        "-uc",
        `
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("${path}")
print("bound")
while True: print(s.recv(4096).decode())
`,
      ],
      { stdout: "pipe" },
    );
    let said = "";
    void (async () => {
      for await (const part of listener.stdout) said += Buffer.from(part).toString();
    })();
    try {
      await until("a listener", () => said === "bound\n");
      const daemon = await world.start(roots, { env: { NOTIFY_SOCKET: path } });
      await until("READY", () => said.endsWith("READY=1\n"));
      daemon.signal("SIGHUP");
      await until("a reload", () => said.endsWith("RELOADING=1\nREADY=1\n"));
      await daemon.loadImage();
      expect(
        await daemon.dockerOk("run", "--rm", "daemon/busybox", "sh", "-c", "env; mount"),
      ).not.toMatch(/notify/i);
      await daemon.end("SIGTERM");
      expect(said).toBe("bound\nREADY=1\nRELOADING=1\nREADY=1\nSTOPPING=1\n");
    } finally {
      listener.kill();
      await listener.exited;
    }
  },
);

scenario("the soft limit of open files is raised to the hard one", async () => {
  const roots = world.roots("limits");
  const daemon = await world.start(roots, { through: ["prlimit", "--nofile=600:6000"] });
  const limits = await must([
    "prlimit",
    "--pid",
    String(daemon.pid),
    "--nofile",
    "--output",
    "SOFT,HARD",
    "--noheadings",
  ]);
  expect(limits.trim()).toMatch(/^6000 +6000$/);
});

nothingIsLeft();
