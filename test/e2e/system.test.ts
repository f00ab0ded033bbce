/** `info`, `version`, `system df`, `top`, `stats`, `port`, `update`: what the engine tells. */
import { expect } from "bun:test";
import { cpus, totalmem } from "node:os";

import {
  api,
  BUSYBOX,
  check,
  docker,
  dockerOk,
  engine,
  field,
  skipOn,
  until,
} from "../harness/check.ts";
import { clientMajor, clientName, dockerBackground } from "../harness/client.ts";

check(`version has both sides (client ${clientName})`, async () => {
  const out = await dockerOk("version");
  expect(out).toMatch(/Client/);
  expect(out).toMatch(/Server/);
  expect(await dockerOk("version", "--format", "{{.Server.Os}} {{.Server.APIVersion}}")).toBe(
    `linux ${engine.apiVersion}`,
  );
});

check("API /version has every field clients read", async () => {
  const body = (await api("GET", "/version")).json();
  for (const key of [
    "Version",
    "ApiVersion",
    "MinAPIVersion",
    "GitCommit",
    "GoVersion",
    "Os",
    "Arch",
    "KernelVersion",
    "BuildTime",
    "Components",
    "Platform",
  ]) {
    expect(Object.keys(body)).toContain(key);
  }
  expect(Number(String(body["MinAPIVersion"]).split(".")[1])).toBeLessThanOrEqual(24);
});

check("info tells the machine", async () => {
  const info = JSON.parse(await dockerOk("info", "--format", "{{json .}}")) as Record<
    string,
    unknown
  >;
  expect(info).toMatchObject({
    NCPU: cpus().length,
    OSType: "linux",
    Swarm: { LocalNodeState: "inactive" },
  });
  expect(Math.abs(Number(info["MemTotal"]) - totalmem()) / totalmem()).toBeLessThan(0.02);
  for (const key of [
    "ID",
    "Containers",
    "ContainersRunning",
    "ContainersPaused",
    "ContainersStopped",
    "Images",
    "Driver",
    "KernelVersion",
    "OperatingSystem",
    "Architecture",
    "DockerRootDir",
    "Name",
    "ServerVersion",
    "IndexServerAddress",
    "Runtimes",
    "DefaultRuntime",
    "SecurityOptions",
    "Plugins",
    "LoggingDriver",
    "CgroupDriver",
    "CgroupVersion",
  ]) {
    expect(Object.keys(info)).toContain(key);
  }
});

check("info counts containers", async (t) => {
  await t.idle();
  await t.create(BUSYBOX);
  const [all, running, stopped] = (
    await dockerOk(
      "info",
      "--format",
      "{{.Containers}} {{.ContainersRunning}} {{.ContainersStopped}}",
    )
  )
    .split(" ")
    .map(Number);
  expect(running).toBeGreaterThanOrEqual(1);
  expect(stopped).toBeGreaterThanOrEqual(1);
  expect(all).toBeGreaterThanOrEqual(2);
});

check("info: seccomp is among the security options", async () => {
  expect(await dockerOk("info", "--format", "{{json .SecurityOptions}}")).toContain("seccomp");
});

check("system df: the four kinds", async () => {
  const out = await dockerOk("system", "df");
  for (const kind of ["Images", "Containers", "Local Volumes", "Build Cache"])
    expect(out).toContain(kind);
});

check("system df -v lists a container, a volume, an image", async (t) => {
  const volume = await t.volume();
  const name = await t.idle("-v", `${volume}:/v`);
  await dockerOk("exec", name, "sh", "-c", "head -c 300000 /dev/zero > /v/f");
  const out = await dockerOk("system", "df", "-v");
  for (const part of [volume, name, "e2e/busybox"]) expect(out).toContain(part);
  expect(out).toMatch(new RegExp(`${volume}\\s+1\\s+30\\d(\\.\\d+)?kB`));
});

check("top lists the processes, with columns of ps", async (t) => {
  const name = await t.up(BUSYBOX, "sh", "-c", "sleep 500 & sleep 501; true");
  const lines = await until("both processes", async () => {
    const all = (await dockerOk("top", name)).split("\n");
    return all.filter((line) => /sleep 50[01]/.test(line)).length >= 2 && all;
  });
  expect(lines[0]).toMatch(/PID.*CMD|UID.*PID/);
  const chosen = await dockerOk("top", name, "-o", "pid,args");
  expect(chosen.split("\n")[0]).toMatch(/^PID\s+COMMAND$/);
});

check(
  "top shows processes of other users and with terminals, whatever ps would choose",
  async (t) => {
    const name = await t.up("-t", "-u", "user", BUSYBOX, "sleep", "502");
    const rows = async (...args: string[]): Promise<number> =>
      (await dockerOk("top", name, ...args)).split("\n").filter((row) => /sleep/.test(row)).length;
    expect(await rows("-o", "pid,args")).toBe(1);
    expect(await rows("-x")).toBe(1);
    expect(await rows("aux", "--forest")).toBe(1);
  },
);

check("top of a stopped container is refused", async (t) => {
  const name = await t.create(BUSYBOX);
  const out = await docker(["top", name]);
  expect(out.code).toBe(1);
  expect(out.stderr).toMatch(/is not running/);
});

check("stats --no-stream", async (t) => {
  const name = await t.idle("-m", "64m");
  const out = await dockerOk(
    "stats",
    "--no-stream",
    "--format",
    "{{.Name}}|{{.MemUsage}}|{{.PIDs}}|{{.CPUPerc}}|{{.NetIO}}|{{.BlockIO}}",
    name,
  );
  const parts = out.split("|");
  expect(parts[0]).toBe(name);
  expect(parts[1]).toMatch(/ \/ 64MiB$/);
  expect(parts[2]).toBe("1");
  expect(parts[3]).toMatch(/^[\d.]+%$/);
  expect(parts[4]).toMatch(/B \/ /);
});

check("stats of a stopped and of an unknown container", async (t) => {
  const name = await t.create(BUSYBOX);
  expect((await docker(["stats", "--no-stream", "e2e-unknown"])).code).toBe(1);
  const out = await docker(["stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", name]);
  expect(out.code).toBe(0);
});

check("API stats: cpu, memory, pids, networks; one-shot answers at once", async (t) => {
  const name = await t.idle();
  const stats = (await api("GET", `/containers/${name}/stats?stream=false&one-shot=true`)).json<
    Record<string, Record<string, unknown>>
  >();
  // At once: there is no sample a second before.
  if (engine.kind !== "docker20") expect(stats["preread"] as unknown).toBe("0001-01-01T00:00:00Z");
  for (const key of [
    "cpu_stats",
    "precpu_stats",
    "memory_stats",
    "pids_stats",
    "blkio_stats",
    "networks",
    "read",
  ]) {
    expect(Object.keys(stats)).toContain(key);
  }
  expect(Number(stats["memory_stats"]?.["usage"])).toBeGreaterThan(0);
  expect(stats["pids_stats"]?.["current"]).toBe(1);
  expect(Object.keys(stats["networks"] ?? {})).toEqual(["eth0"]);
});

check(
  "stats streams a sample a second",
  async (t) => {
    const name = await t.idle();
    const client = dockerBackground("stats", "--format", "{{.Name}}", name);
    await until("three samples", () => client.text().split(name).length > 3);
    client.child.kill();
  },
  { skip: clientMajor >= 20 ? undefined : "the client prints otherwise" },
);

check(
  "a busy container shows its CPU",
  async (t) => {
    const name = await t.up("--cpus", "0.5", BUSYBOX, "sh", "-c", "while :; do :; done");
    const percent = await until("its CPU", async () => {
      const text = await dockerOk("stats", "--no-stream", "--format", "{{.CPUPerc}}", name);
      // On a busy machine it gets less than it may have.
      return Number.parseFloat(text) > 1 && Number.parseFloat(text);
    });
    expect(percent).toBeLessThan(75);
  },
  { isAlone: true },
);

check("the processor time in stats is what the kernel counted", async (t) => {
  const name = await t.up("--cpus", "0.5", BUSYBOX, "sh", "-c", "while :; do :; done");
  const v1 = "cat /sys/fs/cgroup/cpuacct/cpuacct.usage 2>/dev/null";
  const v2 = "sed -n 's/^usage_usec \\(.*\\)/\\1000/p' /sys/fs/cgroup/cpu.stat";
  const counted = async (): Promise<number> =>
    Number(await dockerOk("exec", name, "sh", "-c", `${v1} || ${v2}`));
  const before = await counted();
  expect(before).toBeGreaterThan(0);
  const path = `/containers/${name}/stats?stream=false&one-shot=true`;
  const stats = (await api("GET", path)).json<{
    cpu_stats: { cpu_usage: { total_usage: number } };
  }>();
  const told = stats.cpu_stats.cpu_usage.total_usage;
  expect(told).toBeGreaterThanOrEqual(before);
  expect(told).toBeLessThanOrEqual(await counted());
});

check(
  "unknown commands of the client's are not the engine's matter, unknown paths are 404",
  async () => {
    expect((await api("GET", "/no/such/path")).status).toBe(404);
    expect((await api("GET", "/v1.41/no/such/path")).status).toBe(404);
  },
);

check("swarm is inactive and says so", async () => {
  const reply = await api("GET", "/nodes");
  expect(reply.status).toBe(503);
  expect(reply.json<{ message: string }>().message).toMatch(/not a swarm manager/i);
  expect((await docker(["node", "ls"])).code).toBe(1);
});

check("login to nowhere fails", async () => {
  const out = await docker(["login", "-u", "x", "-p", "y", "127.0.0.1:9"]);
  expect(out.code).toBe(1);
});

check("system prune with a label takes only what has it", async (t) => {
  const label = t.name();
  const marked = await t.create("-l", label, BUSYBOX);
  const other = await t.create(BUSYBOX);
  for (;;) {
    const out = await docker(["system", "prune", "-f", "--filter", `label=${label}`]);
    if (out.code === 0) break;
    expect(out.stderr).toMatch(/already running/);
  }
  expect((await docker(["inspect", marked])).code).toBe(1);
  expect(await field(other, "{{.State.Status}}")).toBe("created");
});

check(
  "the engine's name in info is the host's",
  async () => {
    expect((await dockerOk("info", "--format", "{{.Name}}")).length).toBeGreaterThan(0);
  },
  { skip: skipOn("given", "not known") },
);
