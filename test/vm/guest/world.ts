/** The host is what it should be, and containers see of it what they should. */
import { existsSync, readFileSync, rmdirSync, statSync } from "node:fs";

import { check, equal, ok } from "./check.ts";
import { api } from "../../harness/http.ts";
import {
  CGROUPS,
  IMAGE,
  SOCKET,
  call,
  exec,
  idle,
  inspect,
  instance,
  output,
  until,
  up,
} from "./engine.ts";

interface Info {
  readonly CgroupVersion: string;
  readonly CgroupDriver: string;
  readonly Driver: string;
  readonly DefaultRuntime: string;
  readonly KernelVersion: string;
  readonly MemoryLimit: boolean;
  readonly PidsLimit: boolean;
  readonly CpuCfsQuota: boolean;
  readonly SecurityOptions: readonly string[];
}

const hostChecks = (): void => {
  check("the host has cgroup v2 and nothing of v1", async () => {
    const mounts = readFileSync("/proc/mounts", "utf8").split("\n");
    equal(
      mounts.filter((line) => / cgroup2? /.test(line)).map((line) => line.split(" ")[2]),
      ["cgroup2"],
      "cgroup mounts",
    );
    const info = (await call("GET", "/info")).json<Info>();
    equal([info.CgroupVersion, info.CgroupDriver], ["2", "cgroupfs"], "/info");
    equal([info.MemoryLimit, info.PidsLimit, info.CpuCfsQuota], [true, true, true], "limits");
    ok(info.SecurityOptions.includes("name=cgroupns"), "SecurityOptions name cgroupns");
    return `Linux ${info.KernelVersion}, ${info.DefaultRuntime}, ${info.Driver}`;
  });

  check("a container's root is an overlay on the machine's ext4; changes are seen", async () => {
    ok(/^\/dev\/vda \/ ext4 /m.test(readFileSync("/proc/mounts", "utf8")), "/ is not ext4");
    const container = await up("echo new > /made; rm /bin/vi; mount | grep ' on / '; sleep 60");
    await until("the change", async () => (await exec(container.name, "cat /made")) === "new");
    const root = await exec(container.name, "grep ' / / ' /proc/self/mountinfo");
    ok(/ - overlay /.test(root), `the root is no overlay: ${root}`);
    const changes = (await call("GET", `/containers/${container.name}/changes`)).json<
      { Path: string; Kind: number }[]
    >();
    const kinds = changes.filter(({ Path }) => Path === "/made" || Path === "/bin/vi");
    equal(
      kinds.toSorted((a, b) => a.Path.localeCompare(b.Path)),
      [
        { Path: "/bin/vi", Kind: 2 },
        { Path: "/made", Kind: 1 },
      ],
      "changes",
    );
  });
};

const namespaceChecks = (): void => {
  check("cgroup namespaces: private by default, host on demand", async () => {
    const container = await idle();
    const script = "cat /proc/self/cgroup; ls /sys/fs/cgroup | grep -c .";
    const [own] = (await exec(container.name, script)).split("\n");
    equal(own, "0::/", "/proc/self/cgroup of an exec");
    equal(await output("cat /proc/1/cgroup"), "0::/", "/proc/1/cgroup");
    const seen = await exec(container.name, "cat /sys/fs/cgroup/cgroup.procs | head -1");
    equal(seen, "1", "the first process of its own cgroup root");
    const shared = await idle({ CgroupnsMode: "host" });
    equal(
      await exec(shared.name, "cat /proc/1/cgroup"),
      `0::/naru-${instance()}/${shared.id}`,
      "/proc/1/cgroup with the host's namespace",
    );
  });

  check("a container cannot write its cgroup; a privileged one can, and share it out", async () => {
    const script = "mkdir /sys/fs/cgroup/mine && echo made; rmdir /sys/fs/cgroup/mine; true";
    equal(await output(script), "", "an ordinary container's mkdir");
    equal(await output(script, { Privileged: true }), "made", "a privileged container's mkdir");
    // What engines inside of containers do: leave the root of the namespace, then delegate.
    const container = await up(
      "cd /sys/fs/cgroup && mkdir init && echo 1 > init/cgroup.procs && " +
        "echo '+memory +pids' > cgroup.subtree_control && mkdir work && touch /done; sleep 60",
      { Privileged: true },
    );
    const directory = `${container.cgroup}/work`;
    await until("the inner cgroup", () => existsSync(`${directory}/memory.max`));
    const answer = await exec(
      container.name,
      "echo $$ > /sys/fs/cgroup/work/cgroup.procs && echo in",
    );
    equal(answer, "in", "an exec into a container that delegates");
    await call("POST", `/containers/${container.name}/pause`);
    equal((await inspect(container.name)).State.Paused, true, "Paused");
    await call("POST", `/containers/${container.name}/unpause`);
    await call("DELETE", `/containers/${container.name}?force=1`);
    await until("the end of all its cgroups", () => !existsSync(container.cgroup), 5000);
  });

  check("devices are fenced off by the cgroup's program, and opened one by one", async () => {
    const number = statSync("/dev/vda").rdev;
    const [major, minor] = [number >> 8, number & 0xff];
    const script = `mknod /disk b ${major} ${minor} && head -c1 /disk > /dev/null && echo read`;
    equal(await output(script), "", "a device that was not given");
    equal(
      await output(script, { DeviceCgroupRules: [`b ${major}:${minor} r`] }),
      "read",
      "with a rule",
    );
    equal(await output(script, { Privileged: true }), "read", "privileged");
    equal(await output("head -c4 /dev/zero | wc -c"), "4", "/dev/zero");
  });

  check("--cgroup-parent is made with its controllers", async () => {
    const container = await idle({ CgroupParent: "vm-parent/inner", Memory: 32 * 2 ** 20 });
    const directory = `${CGROUPS}/vm-parent/inner/${container.id}`;
    equal(readFileSync(`${directory}/memory.max`, "utf8").trim(), `${32 * 2 ** 20}`, "memory.max");
    await call("DELETE", `/containers/${container.name}?force=1`);
    await until("its cgroup's end", () => !existsSync(directory), 5000);
    const refused = await api(SOCKET, "POST", "/containers/create", {
      body: { Image: IMAGE, HostConfig: { CgroupParent: "/vm-parent/../../x" } },
    });
    equal(refused.status, 400, "a parent that leads elsewhere");
    // Whoever names a parent keeps it.
    for (const path of ["vm-parent/inner", "vm-parent"]) rmdirSync(`${CGROUPS}/${path}`);
  });

  check("a published port answers", async () => {
    await up("exec httpd -f -p 80 -h /etc", { PortBindings: { "80/tcp": [{ HostPort: "8082" }] } });
    const get = async (): Promise<boolean> => {
      const reply = await fetch("http://127.0.0.1:8082/passwd").catch(() => undefined);
      return (await reply?.text())?.startsWith("root:") === true;
    };
    await until("an answer", get);
  });

  check("a removed container's cgroup is gone", async () => {
    const container = await idle();
    ok(existsSync(container.cgroup), `${container.cgroup} does not exist while it runs`);
    await call("DELETE", `/containers/${container.name}?force=1`);
    // It goes after the answer, with the runtime's own state.
    await until("the cgroup's end", () => !existsSync(container.cgroup), 5000);
  });
};

export const worldChecks = (): void => {
  hostChecks();
  namespaceChecks();
};
