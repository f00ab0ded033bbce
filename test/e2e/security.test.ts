/** Capabilities, seccomp, masked paths, devices, namespaces: what a process may and may not. */
import { expect } from "bun:test";
import { writeFileSync } from "node:fs";

import {
  BUSYBOX,
  check,
  needsAllCapabilities,
  docker,
  dockerOk,
  engine,
  field,
  onHost,
  sh,
  shOk,
} from "../harness/check.ts";

const caps = (options: readonly string[], which = "CapEff"): Promise<string> =>
  shOk(options, `grep ${which}: /proc/self/status | cut -f2`);

/** The 14 capabilities a container has by default. */
const DEFAULT_CAPS = "00000000a80425fb";

const bit = (hex: string, number: number): boolean =>
  ((BigInt(`0x${hex}`) >> BigInt(number)) & 1n) === 1n;

check("the default capabilities, effective, permitted and bounding", async () => {
  const out = await shOk([], "grep -E '^Cap(Eff|Prm|Bnd)' /proc/self/status | cut -f2");
  expect(out.split("\n")).toEqual([DEFAULT_CAPS, DEFAULT_CAPS, DEFAULT_CAPS]);
});

check("no inheritable and no ambient capabilities", async () => {
  const out = await shOk([], "grep -E '^Cap(Inh|Amb)' /proc/self/status | cut -f2");
  expect(out).toBe("0000000000000000\n0000000000000000");
});

check("--cap-drop ALL leaves none", async () => {
  expect(await caps(["--cap-drop", "ALL"])).toBe("0000000000000000");
});

check("--cap-add and --cap-drop of single ones, with and without CAP_", async () => {
  const hex = await caps(["--cap-add", "NET_ADMIN", "--cap-drop", "CAP_CHOWN"]);
  expect([bit(hex, 12), bit(hex, 0), bit(hex, 1)]).toEqual([true, false, true]);
});

check("--cap-drop ALL --cap-add CHOWN leaves that one", async () => {
  expect(await caps(["--cap-drop", "ALL", "--cap-add", "chown"])).toBe("0000000000000001");
});

check("an unknown capability is refused by name", async () => {
  const out = await docker(["run", "--rm", "--cap-add", "NO_SUCH", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/NO_SUCH/);
});

check("a user other than root has no effective capabilities", async () => {
  expect(await caps(["-u", "1000"])).toBe("0000000000000000");
  expect(await caps(["-u", "1000"], "CapBnd")).toBe(DEFAULT_CAPS);
});

check(
  "--privileged has every capability of the engine and all of /dev",
  async () => {
    const hex = await caps(["--privileged"]);
    expect(bit(hex, 21)).toBe(true);
    expect(bit(hex, 12)).toBe(true);
    expect(Number(await shOk(["--privileged"], "ls /dev | wc -l"))).toBeGreaterThan(
      Number(await shOk([], "ls /dev | wc -l")),
    );
  },
  { skip: needsAllCapabilities },
);

check(
  "--privileged: no seccomp, /sys writable, nothing masked",
  async () => {
    const out = await shOk(
      ["--privileged"],
      "grep -w Seccomp: /proc/self/status | cut -f2; grep ' /sys ' /proc/mounts | cut -d' ' -f4 | cut -d, -f1; grep -c /proc/kcore /proc/mounts || true",
    );
    expect(out).toBe("0\nrw\n0");
  },
  { skip: needsAllCapabilities },
);

check("seccomp is on by default (mode 2)", async () => {
  expect(await shOk([], "grep -w Seccomp: /proc/self/status | cut -f2")).toBe("2");
});

check("the default profile refuses unshare of a user namespace and mount", async () => {
  const out = await sh(
    ["--cap-add", "SYS_PTRACE"],
    "unshare -U true; echo $?; mount -t tmpfs x /mnt; echo $?",
  );
  expect(out.stdout).not.toContain("\n0\n");
  expect(out.stdout.startsWith("0")).toBe(false);
});

check("--security-opt seccomp=unconfined", async () => {
  const option = ["--security-opt", "seccomp=unconfined"];
  expect(await shOk(option, "grep -w Seccomp: /proc/self/status | cut -f2")).toBe("0");
});

check("a seccomp profile of one's own", async (t) => {
  const file = `${t.folder()}/profile.json`;
  const rule = { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 1 };
  writeFileSync(file, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [rule] }));
  const option = ["--security-opt", `seccomp=${file}`];
  const out = await sh(option, "grep -w Seccomp: /proc/self/status | cut -f2; mkdir /x");
  expect(out.stdout).toBe("2\n");
  expect(out.stderr).toMatch(/not permitted/i);
});

check("a broken seccomp profile is refused", async (t) => {
  const file = `${t.folder()}/profile.json`;
  writeFileSync(file, "{ not json");
  const out = await docker(["run", "--rm", "--security-opt", `seccomp=${file}`, BUSYBOX, "true"]);
  expect(out.code).not.toBe(0);
});

check("--security-opt no-new-privileges", async () => {
  const get = "grep NoNewPrivs /proc/self/status | cut -f2";
  expect(await shOk(["--security-opt", "no-new-privileges"], get)).toBe("1");
  expect(await shOk([], get)).toBe("0");
});

check("an unknown --security-opt is refused", async () => {
  const out = await docker(["run", "--rm", "--security-opt", "nonsense=1", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
});

for (const path of ["/proc/kcore", "/proc/keys", "/proc/timer_list"]) {
  check(`${path} is masked`, async () => {
    expect(await shOk([], `test -e ${path} && wc -c < ${path} || echo 0`)).toBe("0");
  });
}

check("/sys/firmware is masked", async () => {
  expect(await shOk([], "ls /sys/firmware 2>/dev/null | wc -l")).toBe("0");
});

check("/proc/sys is read-only", async () => {
  const out = await sh([], "echo 1 > /proc/sys/vm/swappiness");
  expect(out.stderr).toMatch(/Read-only file system/i);
});

check("/sys is read-only", async () => {
  expect(await shOk([], "grep ' /sys ' /proc/mounts | cut -d' ' -f4 | cut -d, -f1")).toBe("ro");
});

check("--security-opt systempaths=unconfined unmasks", async () => {
  const out = await shOk(
    ["--security-opt", "systempaths=unconfined"],
    "grep -c ' /proc/' /proc/mounts || true",
  );
  expect(out).toBe("0");
});

check("the standard devices and links are there", async () => {
  const out = await shOk([], "ls /dev | sort | tr '\\n' ' '");
  for (const name of [
    "fd",
    "full",
    "mqueue",
    "null",
    "ptmx",
    "pts",
    "random",
    "shm",
    "stderr",
    "stdin",
    "stdout",
    "tty",
    "urandom",
    "zero",
  ]) {
    expect(out.split(" ")).toContain(name);
  }
});

check("/dev/null and friends work for any user", async () => {
  expect(
    await shOk(
      ["-u", "1000"],
      "echo x > /dev/null && head -c 4 /dev/zero | wc -c && stat -c %a /dev/null",
    ),
  ).toBe("4\n666");
});

check("a device node made inside cannot be opened", async () => {
  const out = await sh([], "mknod /d b 254 0 && head -c 1 /d");
  expect(out.code).not.toBe(0);
  expect(out.stderr).toMatch(/not permitted/i);
});

check("--device brings a device of the host", async () => {
  const out = await shOk(
    ["--device", "/dev/loop-control:/dev/lc:rw", "--cap-drop", "MKNOD"],
    "stat -c '%F' /dev/lc",
  );
  expect(out).toBe("character special file");
});

check("--device of a path that is not there is refused", async () => {
  const out = await docker(["run", "--rm", "--device", "/dev/e2e-missing", BUSYBOX, "true"]);
  expect([125, 127]).toContain(out.code);
  expect(out.stderr).toMatch(/e2e-missing/);
});

check("--device with rights r only", async () => {
  const out = await sh(["--device", "/dev/kmsg:/dev/k:r"], "echo x > /dev/k");
  expect(out.code).not.toBe(0);
});

check("processes of the host are not seen", async () => {
  expect(Number(await shOk([], "ls -d /proc/[0-9]* | wc -l"))).toBeLessThan(6);
});

check("--pid host sees them", async () => {
  expect(Number(await shOk(["--pid", "host"], "ls -d /proc/[0-9]* | wc -l"))).toBeGreaterThan(10);
});

check("--pid container:NAME shares its processes", async (t) => {
  const name = await t.up(BUSYBOX, "sleep", "4321");
  expect(await shOk(["--pid", `container:${name}`], "ps -o args | grep -c '^sleep 4321'")).toBe(
    "1",
  );
});

check("--pid container: of an unknown one is refused", async () => {
  const out = await docker(["run", "--rm", "--pid", "container:e2e-missing", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/No such container/i);
});

check("--uts host has the host's name", async () => {
  expect(await shOk(["--uts", "host"], "hostname")).toBe(await onHost("hostname"));
});

check("--uts host with --hostname is refused", async () => {
  const out = await docker(["run", "--rm", "--uts", "host", "--hostname", "x", BUSYBOX, "true"]);
  expect(out.code).toBe(125);
});

check("--ipc: own by default, host's, and a container's", async (t) => {
  const get = "readlink /proc/self/ns/ipc";
  const host = await onHost("readlink", "/proc/self/ns/ipc");
  expect(await shOk([], get)).not.toBe(host);
  expect(await shOk(["--ipc", "host"], get)).toBe(host);
  const name = await t.idle("--ipc", "shareable");
  const theirs = await dockerOk("exec", name, "readlink", "/proc/self/ns/ipc");
  expect(await shOk(["--ipc", `container:${name}`], get)).toBe(theirs);
});

check("--ipc container shares /dev/shm", async (t) => {
  const name = await t.idle("--ipc", "shareable");
  await dockerOk("exec", name, "sh", "-c", "echo shared > /dev/shm/f");
  expect(await shOk(["--ipc", `container:${name}`], "cat /dev/shm/f")).toBe("shared");
});

check("--ipc container: of a private one is refused", async (t) => {
  const name = await t.idle("--ipc", "private");
  const out = await docker(["run", "--rm", "--ipc", `container:${name}`, BUSYBOX, "true"]);
  expect(out.code).toBe(125);
  expect(out.stderr).toMatch(/non-shareable IPC/i);
});

check("--cgroupns private hides the path, host shows it", async () => {
  const get = "grep -E ':(memory|):' /proc/self/cgroup | head -1 | cut -d: -f3";
  expect(await shOk(["--cgroupns", "private"], get)).toBe("/");
  expect((await shOk(["--cgroupns", "host"], get)).length).toBeGreaterThan(10);
});

check("the cgroup of a container is its own", async (t) => {
  const name = await t.idle("--cgroupns", "host");
  const id = await field(name, "{{.Id}}");
  expect(await dockerOk("exec", name, "cat", "/proc/1/cgroup")).toContain(id);
});

check("--read-only: the root is, the rest of /dev, /tmp mounts as said", async () => {
  const out = await sh(
    ["--read-only", "--tmpfs", "/tmp"],
    "echo a > /tmp/x && echo ok; echo b > /x",
  );
  expect(out.stdout).toBe("ok\n");
  expect(out.stderr).toMatch(/Read-only file system/i);
});

check("--read-only keeps volumes and /dev/shm writable", async () => {
  expect(
    await shOk(["--read-only", "-v", "/vol"], "echo x > /vol/f && echo x > /dev/shm/f && echo ok"),
  ).toBe("ok");
});

check("--oom-score-adj is given to the process", async () => {
  expect(await shOk(["--oom-score-adj", "500"], "cat /proc/self/oom_score_adj")).toBe("500");
});

check("inspect tells the security settings", async (t) => {
  const name = await t.create(
    "--cap-add",
    "NET_ADMIN",
    "--cap-drop",
    "MKNOD",
    "--security-opt",
    "no-new-privileges",
    BUSYBOX,
    "true",
  );
  expect(
    await field(
      name,
      "{{json .HostConfig.CapAdd}} {{json .HostConfig.CapDrop}} {{.HostConfig.Privileged}}",
    ),
  ).toMatch(/\["(CAP_)?NET_ADMIN"\] \["(CAP_)?MKNOD"\] false/);
  expect(await field(name, "{{.HostConfig.SecurityOpt}}")).toContain("no-new-privileges");
});

check(`masked and read-only paths are in inspect (${engine.kind})`, async (t) => {
  const name = await t.create(BUSYBOX, "true");
  const masked = JSON.parse(await field(name, "{{json .HostConfig.MaskedPaths}}")) as string[];
  expect(masked).toEqual(expect.arrayContaining(["/proc/kcore", "/sys/firmware", "/proc/scsi"]));
  const readonly = JSON.parse(await field(name, "{{json .HostConfig.ReadonlyPaths}}")) as string[];
  expect(readonly).toEqual([
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
  ]);
});
