/** Limits: written where the kernel reads them, and kept by it. */
import { api } from "../../harness/http.ts";
import { alone, check, between, equal, ok } from "./check.ts";
import {
  SOCKET,
  call,
  cgroupCount,
  cgroupFile,
  exec,
  idle,
  inspect,
  logs,
  output,
  until,
  up,
  waitFor,
} from "./engine.ts";

const MIB = 2 ** 20;
const SPIN = "while :; do :; done";

const visibleChecks = (): void => {
  check("limits are in the cgroup's files, inside and outside", async () => {
    const container = await idle({
      Memory: 64 * MIB,
      MemorySwap: 96 * MIB,
      MemoryReservation: 32 * MIB,
      NanoCpus: 500_000_000,
      CpuShares: 512,
      CpusetCpus: "1",
      PidsLimit: 25,
    });
    const expected = {
      "memory.max": `${64 * MIB}`,
      "memory.swap.max": `${32 * MIB}`,
      "memory.low": `${32 * MIB}`,
      "cpu.max": "50000 100000",
      "cpu.weight": "59",
      "cpuset.cpus": "1",
      "pids.max": "25",
    };
    const files = Object.keys(expected);
    const outside = Object.fromEntries(files.map((file) => [file, cgroupFile(container, file)]));
    equal(outside, expected, "on the host");
    const inside = await exec(
      container.name,
      `cd /sys/fs/cgroup && for f in ${files.join(" ")}; do cat $f; done`,
    );
    equal(inside.split("\n"), Object.values(expected), "in the container");
    const allowed = await exec(container.name, "grep Cpus_allowed_list /proc/1/status");
    equal(allowed.split(/\s+/)[1], "1", "Cpus_allowed_list");
  });

  check("the default of shares weighs as none, more weighs more", async () => {
    const weight = async (CpuShares: number): Promise<number> =>
      Number(cgroupFile(await idle({ CpuShares }), "cpu.weight"));
    equal([await weight(0), await weight(1024)], [100, 100], "cpu.weight");
    ok((await weight(2048)) > 100, "2048 shares weigh no more than the default");
  });

  check("without limits there are none", async () => {
    const container = await idle();
    const values = ["memory.max", "pids.max", "cpu.max", "cpu.weight"].map((file) =>
      cgroupFile(container, file),
    );
    equal(values, ["max", "max", "max 100000", "100"], "files");
  });
};

const effectiveChecks = (): void => {
  alone("--cpus holds: a fifth of a processor", async () => {
    const container = await up(SPIN, { NanoCpus: 200_000_000 });
    await Bun.sleep(300);
    const usage = (): number => cgroupCount(container, "cpu.stat", "usage_usec");
    const [began, first] = [performance.now(), usage()];
    await Bun.sleep(1500);
    const share = (usage() - first) / 1000 / (performance.now() - began);
    between(share, 0.1, 0.25, "share of a processor");
    const throttled = cgroupCount(container, "cpu.stat", "nr_throttled");
    ok(throttled > 5, `it was held back ${throttled} times`);
    return `${(share * 100).toFixed(1)} % of one processor, throttled ${throttled} times`;
  });

  check("--pids-limit holds: the next fork fails", async () => {
    const script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done 2>/dev/null; cat";
    const container = await up(script, { PidsLimit: 6 });
    const refused = (): number => cgroupCount(container, "pids.events", "max");
    await until("a refused fork", () => refused() > 0, 10_000);
    const current = Number(cgroupFile(container, "pids.current"));
    ok(current <= 6, `${current} processes`);
    return `pids.events max ${refused()}`;
  });

  check("--memory holds: the page cache is reclaimed, not the process killed", async () => {
    const script = "dd if=/dev/zero of=/big bs=1M count=80 2>/dev/null && echo written";
    equal(await output(script, { Memory: 32 * MIB, MemorySwap: 32 * MIB }), "written", "dd");
  });

  check("/dev/shm counts against the limit", async () => {
    const container = await up("dd if=/dev/zero of=/dev/shm/x bs=1M count=48; sleep 60", {
      Memory: 24 * MIB,
      MemorySwap: 24 * MIB,
      ShmSize: 64 * MIB,
    });
    // dd is killed; the first process, which is smaller, may live on.
    await until(
      "an OOM kill",
      async () =>
        (await inspect(container.name)).State.OOMKilled ||
        cgroupCount(container, "memory.events", "oom_kill") > 0,
    );
  });
};

const updateChecks = (): void => {
  check("update changes limits of a running container", async () => {
    const container = await idle({ Memory: 64 * MIB, PidsLimit: 25, NanoCpus: 500_000_000 });
    const read = (): string[] =>
      ["memory.max", "memory.swap.max", "pids.max", "cpu.max"].map((file) =>
        cgroupFile(container, file),
      );
    equal(read(), [`${64 * MIB}`, `${64 * MIB}`, "25", "50000 100000"], "before");
    await call("POST", `/containers/${container.name}/update`, {
      Memory: 128 * MIB,
      MemorySwap: 160 * MIB,
      PidsLimit: 50,
      NanoCpus: 1_500_000_000,
      CpuShares: 512,
      CpusetCpus: "0",
    });
    equal(read(), [`${128 * MIB}`, `${32 * MIB}`, "50", "150000 100000"], "raised");
    equal(cgroupFile(container, "cpuset.cpus"), "0", "cpuset.cpus");
    equal(cgroupFile(container, "cpu.weight"), "59", "cpu.weight of 512 shares");
    await call("POST", `/containers/${container.name}/update`, {
      Memory: 48 * MIB,
      MemorySwap: -1,
      PidsLimit: -1,
    });
    equal(read(), [`${48 * MIB}`, "max", "max", "150000 100000"], "lowered and lifted");
    const { HostConfig } = await inspect(container.name);
    equal([HostConfig["Memory"], HostConfig["MemorySwap"]], [48 * MIB, -1], "inspect");
  });

  alone("update is felt at once: cpu", async () => {
    const container = await up(SPIN, { NanoCpus: 1_000_000_000 });
    const share = async (): Promise<number> => {
      const usage = (): number => cgroupCount(container, "cpu.stat", "usage_usec");
      const [began, first] = [performance.now(), usage()];
      await Bun.sleep(1000);
      return (usage() - first) / 1000 / (performance.now() - began);
    };
    const free = await share();
    await call("POST", `/containers/${container.name}/update`, { NanoCpus: 100_000_000 });
    await Bun.sleep(200);
    const held = await share();
    ok(held < 0.16 && free > held * 2, `${free} became ${held}`);
    return `${(free * 100).toFixed(0)} % became ${(held * 100).toFixed(0)} %`;
  });

  check("update of memory and swap in the wrong order is refused and changes nothing", async () => {
    const container = await idle({ Memory: 64 * MIB, MemorySwap: 64 * MIB });
    const before = cgroupFile(container, "memory.max");
    const body = { Memory: 128 * MIB };
    const refusal = await api(SOCKET, "POST", `/containers/${container.name}/update`, { body });
    equal(refusal.status, 409, "the answer");
    ok(refusal.text.includes("memoryswap"), refusal.text);
    equal(cgroupFile(container, "memory.max"), before, "memory.max");
  });

  check("update of a stopped container counts at its next start", async () => {
    const container = await up("cat /sys/fs/cgroup/memory.max; exit 3", { Memory: 64 * MIB });
    equal(await waitFor(container.name), 3, "exit code");
    await call("POST", `/containers/${container.name}/update`, {
      Memory: 80 * MIB,
      MemorySwap: 160 * MIB,
    });
    await call("POST", `/containers/${container.name}/start`);
    await waitFor(container.name);
    equal(
      (await logs(container.name)).trim().split("\n"),
      [`${64 * MIB}`, `${80 * MIB}`],
      "memory.max at both starts",
    );
  });
};

export const limitChecks = (): void => {
  visibleChecks();
  effectiveChecks();
  updateChecks();
};
