/** Limits: memory, cpu, pids, cpuset, ulimits, sysctls, shm; inspect and what the kernel has. */
import { expect } from "bun:test";
import { existsSync } from "node:fs";

import {
  BUSYBOX,
  check,
  docker,
  dockerOk,
  field,
  sh,
  shOk,
  stateOf,
  until,
} from "../harness/check.ts";
import { cgroupParent } from "../harness/cgroups.ts";

const isV2 = existsSync("/sys/fs/cgroup/cgroup.controllers");

/** A cgroup file as the container sees it: v1 controller and file, or the v2 file. */
const cg = (v1: string, v2: string): string => `/sys/fs/cgroup/${isV2 ? v2 : v1}`;

check("-m limits memory", async () => {
  const file = cg("memory/memory.limit_in_bytes", "memory.max");
  expect(await shOk(["-m", "64m"], `cat ${file}`)).toBe(String(64 * 1024 * 1024));
});

check("-m in every unit is bytes in inspect", async (t) => {
  for (const [text, bytes] of [
    ["64m", 67_108_864],
    ["1g", 1_073_741_824],
    ["70000k", 71_680_000],
  ] as const) {
    const name = await t.create("-m", text, BUSYBOX, "true");
    expect(await field(name, "{{.HostConfig.Memory}}")).toBe(String(bytes));
  }
});

check("the swap limit defaults to twice the memory", async (t) => {
  const name = await t.create("-m", "64m", BUSYBOX, "true");
  expect(await field(name, "{{.HostConfig.MemorySwap}}")).toBe(String(128 * 1024 * 1024));
});

check("--memory-swap less than --memory is refused", async () => {
  const out = await docker(["run", "--rm", "-m", "64m", "--memory-swap", "32m", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/memoryswap limit should be larger/i);
});

check("--memory-reservation", async () => {
  const file = cg("memory/memory.soft_limit_in_bytes", "memory.low");
  expect(await shOk(["-m", "64m", "--memory-reservation", "32m"], `cat ${file}`)).toBe("33554432");
});

check("a reservation over the limit is refused", async () => {
  const out = await docker([
    "run",
    "--rm",
    "-m",
    "32m",
    "--memory-reservation",
    "64m",
    BUSYBOX,
    "true",
  ]);
  expect(out.code).toBe(125);
});

check("OOMKilled and 137 when memory runs out", async (t) => {
  const name = await t.up(
    "-m",
    "24m",
    "--memory-swap",
    "24m",
    BUSYBOX,
    "sh",
    "-c",
    "dd if=/dev/zero of=/dev/null bs=200M",
  );
  const code = await dockerOk("wait", name);
  expect(code).toBe("137");
  // Some engines hear of it a moment after the end.
  await until("OOMKilled", async () => (await stateOf(name)).OOMKilled);
});

check("OOMKilled is false for an ordinary kill", async (t) => {
  const name = await t.idle("-m", "64m");
  await dockerOk("kill", name);
  await dockerOk("wait", name);
  expect((await stateOf(name)).OOMKilled).toBe(false);
});

check("--cpus becomes quota and period", async () => {
  const script = isV2
    ? "cat /sys/fs/cgroup/cpu.max"
    : "cd /sys/fs/cgroup/cpu; cat cpu.cfs_quota_us cpu.cfs_period_us | tr '\\n' ' '";
  expect(await shOk(["--cpus", "0.5"], script)).toMatch(/^50000 100000/);
});

check("--cpus is NanoCpus in inspect", async (t) => {
  const name = await t.create("--cpus", "1.5", BUSYBOX, "true");
  expect(await field(name, "{{.HostConfig.NanoCpus}}")).toBe("1500000000");
});

check("more --cpus than there are is refused", async () => {
  const out = await docker(["run", "--rm", "--cpus", "9999", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/range of CPUs/i);
});

check("--cpu-period and --cpu-quota", async () => {
  const script = isV2
    ? "cat /sys/fs/cgroup/cpu.max"
    : "cd /sys/fs/cgroup/cpu; cat cpu.cfs_quota_us cpu.cfs_period_us | tr '\\n' ' '";
  expect(await shOk(["--cpu-quota", "20000", "--cpu-period", "50000"], script)).toMatch(
    /^20000 50000/,
  );
});

check("--cpus together with --cpu-quota is refused", async () => {
  const out = await docker(["run", "--rm", "--cpus", "1", "--cpu-quota", "20000", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/Conflicting options/i);
});

check("-c cpu shares", async () => {
  if (isV2) return;
  expect(await shOk(["-c", "512"], "cat /sys/fs/cgroup/cpu/cpu.shares")).toBe("512");
});

check("--cpuset-cpus", async () => {
  const file = cg("cpuset/cpuset.cpus", "cpuset.cpus");
  expect(
    await shOk(
      ["--cpuset-cpus", "0"],
      `cat ${file}; grep Cpus_allowed_list /proc/self/status | cut -f2`,
    ),
  ).toBe("0\n0");
});

check("--cpuset-cpus of a CPU that is not there is refused", async () => {
  const out = await docker(["run", "--rm", "--cpuset-cpus", "4000", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/cpu/i);
});

check("--pids-limit holds", async () => {
  const out = await sh(
    ["--pids-limit", "8"],
    "cat /sys/fs/cgroup/*/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 20 & done; wait",
  );
  expect(out.stdout).toContain("8");
  expect(out.stderr).toMatch(/fork|Resource temporarily unavailable/i);
});

check("without limits there are none", async (t) => {
  const name = await t.create(BUSYBOX, "true");
  const format = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.CpuShares}}";
  expect(await field(name, format)).toBe("0 0 0");
});

check("--shm-size", async () => {
  expect(await shOk(["--shm-size", "16m"], "df -k /dev/shm | tail -1 | awk '{print $2}'")).toBe(
    "16384",
  );
});

check("/dev/shm is 64 MB by default, 1777", async () => {
  expect(await shOk([], "df -k /dev/shm | tail -1 | awk '{print $2}'; stat -c %a /dev/shm")).toBe(
    "65536\n1777",
  );
});

check("--ulimit soft and hard", async () => {
  expect(await shOk(["--ulimit", "nofile=100:200"], "ulimit -Sn; ulimit -Hn")).toBe("100\n200");
});

check(
  "--ulimit too small for the runtime itself: the process has it, and so have execs",
  async (t) => {
    const options = ["--ulimit", "fsize=1024", "--ulimit", "nofile=20:30"];
    const script = "ulimit -f; ulimit -Sn; ulimit -Hn; head -c 9000 /dev/zero >/f; stat -c %s /f";
    expect((await sh(options, script)).stdout).toBe("2\n20\n30\n1024\n");
    const name = await t.idle(...options);
    for (const how of [[], ["-t"]]) {
      const out = await dockerOk("exec", ...how, name, "sh", "-c", script);
      expect(out.replaceAll("\r", "")).toContain("2\n20\n30\n");
      expect(out).toMatch(/\n1024\r?$/);
    }
  },
);

check("--ulimit with one number is both", async (t) => {
  expect(await shOk(["--ulimit", "core=0"], "ulimit -Sc; ulimit -Hc")).toBe("0\n0");
  const name = await t.create("--ulimit", "core=0", BUSYBOX, "true");
  expect(JSON.parse(await field(name, "{{json .HostConfig.Ulimits}}"))).toEqual([
    { Name: "core", Hard: 0, Soft: 0 },
  ]);
});

check("--ulimit -1 is no limit, within what the machine allows", async () => {
  const limits = (name: string): Promise<string> =>
    shOk(["--ulimit", name], "ulimit -Sc; ulimit -Hc; ulimit -St; ulimit -Ht");
  expect(await limits("core=-1")).toMatch(/^unlimited\nunlimited\n/);
  expect(await limits("cpu=100:-1")).toMatch(/\n100\nunlimited$/);
});

check("--blkio-weight on a kernel that weighs nothing is left out with a warning", async () => {
  const out = await sh(["--blkio-weight", "500"], "cat /sys/fs/cgroup/blkio/blkio.weight || true");
  expect([out.code, out.stdout.trim() === "500"]).toEqual([
    0,
    !/Weight discarded/.test(out.stderr),
  ]);
});

check("an unknown --ulimit is refused", async () => {
  const out = await docker(["run", "--rm", "--ulimit", "nosuch=1", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
});

check("--sysctl of the own namespaces", async () => {
  expect(
    await shOk(
      ["--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "kernel.msgmax=9000"],
      "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax",
    ),
  ).toBe("1\n9000");
});

check("--sysctl outside of namespaces is refused", async () => {
  const out = await docker(["run", "--rm", "--sysctl", "kernel.pid_max=50000", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/kernel\.pid_max/);
});

check("--sysctl net.* with --network host is refused", async () => {
  const out = await docker([
    "run",
    "--rm",
    "--network",
    "host",
    "--sysctl",
    "net.ipv4.ip_forward=1",
    BUSYBOX,
    "true",
  ]);
  expect(out.code).not.toBe(0);
});

check("ping without privileges and low ports are allowed by default", async () => {
  const out = await shOk(
    ["-u", "1000"],
    "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; cat /proc/sys/net/ipv4/ping_group_range",
  );
  expect(out).toMatch(/^0\n0\s+2147483647$/);
});

check("update changes memory, pids and cpu of a running container", async (t) => {
  const name = await t.idle("-m", "64m");
  await dockerOk(
    "update",
    "-m",
    "96m",
    "--memory-swap",
    "96m",
    "--pids-limit",
    "50",
    "--cpus",
    "0.25",
    name,
  );
  const memory = cg("memory/memory.limit_in_bytes", "memory.max");
  expect(await dockerOk("exec", name, "cat", memory)).toBe(String(96 * 1024 * 1024));
  expect(
    await field(name, "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.NanoCpus}}"),
  ).toBe("100663296 50 250000000");
});

check("update of a stopped container counts at its next start", async (t) => {
  const memory = cg("memory/memory.limit_in_bytes", "memory.max");
  const name = await t.create("-m", "64m", BUSYBOX, "cat", memory);
  await dockerOk("update", "-m", "80m", "--memory-swap", "160m", name);
  expect((await docker(["start", "-a", name])).stdout.trim()).toBe(String(80 * 1024 * 1024));
});

check("update --restart", async (t) => {
  const name = await t.idle();
  await dockerOk("update", "--restart", "on-failure:4", name);
  expect(
    await field(
      name,
      "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}",
    ),
  ).toBe("on-failure 4");
});

check("update with a nonsense limit is refused and changes nothing", async (t) => {
  const name = await t.idle("-m", "64m");
  const out = await docker(["update", "-m", "1k", name]);
  expect(out.code).toBe(1);
  expect(await field(name, "{{.HostConfig.Memory}}")).toBe("67108864");
});

check("--cgroup-parent", async (t) => {
  const parent = cgroupParent(t);
  const out = await shOk(
    ["--cgroupns", "host", "--cgroup-parent", parent],
    "cat /proc/self/cgroup",
  );
  expect(out).toContain(`${parent}/`);
});

check("--memory-swappiness out of range is refused", async () => {
  const out = await docker(["run", "--rm", "--memory-swappiness", "200", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
});
