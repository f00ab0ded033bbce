/** What the classic builder is told beside the Dockerfile holds for its steps. */
import { expect } from "bun:test";

import { build, buildIn, write } from "../harness/build.ts";
import { cgroupParent, showsCgroupPaths } from "../harness/cgroups.ts";
import { check, docker, naruOnly } from "../harness/check.ts";

/** The first of the files that is there: cgroup v1 has one, v2 another. */
const show = (name: string, ...files: string[]): string =>
  `echo "${name} $(cat ${files.map((file) => `/sys/fs/cgroup/${file}`).join(" ")} 2>/dev/null)"`;

const LOOK = [
  "cat /proc/self/cgroup",
  show("memory", "memory/memory.limit_in_bytes", "memory.max"),
  show("swap", "memory/memory.memsw.limit_in_bytes", "memory.swap.max"),
  show("shares", "cpu/cpu.shares", "cpu.weight"),
  show("quota", "cpu/cpu.cfs_quota_us", "cpu.max"),
  show("cpus", "cpuset/cpuset.cpus", "cpuset.cpus"),
  show("mems", "cpuset/cpuset.mems", "cpuset.mems"),
  'echo "shm $(df -k /dev/shm | tail -1)"',
  'echo "files $(ulimit -Sn) $(ulimit -Hn)"',
  "grep extra /etc/hosts",
  'echo "links $(ls /sys/class/net)"',
].join("; ");

check("limits, hosts and the cgroup's parent", async (t) => {
  const parent = cgroupParent(t);
  const out = await build(t, `FROM {base}\nRUN ${LOOK}\n`, {}, [
    "--no-cache",
    `--cgroup-parent=${parent}`,
    "--memory=64m",
    "--memory-swap=100m",
    "--cpu-shares=300",
    "--cpu-period=50000",
    "--cpu-quota=20000",
    "--cpuset-cpus=0",
    "--cpuset-mems=0",
    "--shm-size=8m",
    "--ulimit=nofile=55:66",
    "--add-host=extra:1.2.3.4",
    "--network=none",
  ]);
  expect(out.code, out.stderr).toBe(0);
  const said = out.stdout;
  if (showsCgroupPaths) expect(said).toContain(`${parent}/`);
  expect(said).toMatch(/^memory 67108864$/m);
  expect(said).toMatch(/^swap (104857600|37748736)$/m);
  // v2 has weights for shares (runtime-spec).
  expect(said).toMatch(/^shares (300|1[0-9]|[0-9]{2})$/m);
  expect(said).toMatch(/^quota 20000( 50000)?$/m);
  expect(said).toMatch(/^cpus 0$/m);
  expect(said).toMatch(/^mems 0$/m);
  expect(said).toMatch(/^shm \S+\s+8192 /m);
  expect(said).toMatch(/^files 55 66$/m);
  expect(said).toMatch(/1\.2\.3\.4\s+extra/);
  expect(said).toMatch(/^links lo$/m);
});

check("-q prints the id alone, --rm and --force-rm leave no container behind", async (t) => {
  const folder = write(t.folder(), { Dockerfile: `FROM e2e/busybox\nRUN echo loud\n` });
  const quiet = await buildIn(t, folder, ["-q", "--rm=false"]);
  expect(quiet.stdout.trim()).toMatch(/^sha256:[0-9a-f]{64}$/);
  const word = t.name();
  const text = `FROM e2e/busybox\nRUN echo ${word}; exit 3\n`;
  const failing = write(t.folder(), { Dockerfile: text });
  const failed = await buildIn(t, failing, ["--force-rm"]);
  expect(failed.stderr).toContain("returned a non-zero code");
  const containers = await docker(["ps", "-a", "--format", "{{.Command}}", "--no-trunc"]);
  expect(containers.stdout).not.toContain(word);
});

check(
  "a cgroup parent that leads elsewhere is refused",
  async (t) => {
    const args = ["--no-cache", "--cgroup-parent=/a/../../b"];
    const out = await build(t, "FROM {base}\nRUN true\n", {}, args);
    expect(out.code).not.toBe(0);
    expect(out.stderr).toContain("invalid cgroup parent");
  },
  { skip: naruOnly("Docker leaves it to its runtime") },
);
