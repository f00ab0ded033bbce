/** `naru service` under a real systemd: one that is the first process of a privileged container. */
import { copyFileSync, existsSync, mkdirSync, renameSync } from "node:fs";

import { expect } from "bun:test";

import { BUSYBOX_CONFIG, busyboxRoot, dockerArchive } from "../harness/images.ts";
import { must, run, until } from "../harness/process.ts";
import { writeTar } from "../harness/tar.ts";
import { naru, openWorld, type Daemon } from "./world.ts";

const { world, scenario, nothingIsLeft } = await openWorld();

/** Raise it when the packages change; the folder may be deleted at any time. */
const RECIPE = 1;
const CACHE = process.env["NARU_SERVICE_CACHE"] ?? "/var/tmp/naru-service";
const PACKAGES = [
  "systemd,systemd-sysv,passwd,procps,iproute2",
  "crun,conmon,nftables,catatonit,isal,zstd",
];

/** A root with systemd, made once of Debian's packages. */
const systemdRoot = async (): Promise<string> => {
  const path = `${CACHE}/root-${RECIPE}.tar`;
  if (existsSync(path)) return path;
  mkdirSync(CACHE, { recursive: true });
  const half = `${CACHE}/half-${process.pid}.tar`;
  const include = `--include=${PACKAGES.join(",")}`;
  await must(["mmdebstrap", "--quiet", "--variant=minbase", include, "bookworm", half], {
    timeoutMs: 300_000,
  });
  renameSync(half, path);
  return path;
};

const MACHINE = "machine";

/** The container with systemd, and a shell in it. */
const boot = async (daemon: Daemon): Promise<(script: string) => Promise<string>> => {
  await daemon.dockerOk("import", await systemdRoot(), "systemd:1");
  const share = `${daemon.roots.base}/share`;
  mkdirSync(share);
  copyFileSync(naru[0] ?? "", `${share}/naru`);
  const image = dockerArchive(["inner:1"], [writeTar(await busyboxRoot())], BUSYBOX_CONFIG);
  await Bun.write(`${share}/inner.tar`, image);
  await daemon.dockerOk(
    ..."run -d --privileged --tmpfs /run --tmpfs /tmp -v /var/lib/naru".split(" "),
    "-v",
    `${share}:/opt/share:ro`,
    "--name",
    MACHINE,
    "systemd:1",
    "/lib/systemd/systemd",
  );
  const shell = (script: string): Promise<string> =>
    daemon.dockerOk("exec", MACHINE, "sh", "-c", script);
  await until("systemd is up", async () => {
    const state = await daemon.docker("exec", MACHINE, "systemctl", "is-system-running");
    return /running|degraded/.test(state.stdout);
  });
  await shell("install /opt/share/naru /usr/local/bin/naru");
  return shell;
};

const PROPERTIES =
  "systemctl show -P ActiveState -P Type -P UnitFileState naru.service naru.socket";

scenario(
  "installed, restarted, killed, woken by its socket and removed: containers run on",
  async () => {
    const daemon = await world.start(world.roots("service"));
    const shell = await boot(daemon);
    expect(await shell("naru service install")).toBe("naru.service is installed and runs");
    expect((await shell(PROPERTIES)).split(/\s+/)).toEqual(
      expect.arrayContaining(["active", "notify", "enabled"]),
    );
    expect(await shell("stat -c '%a %U %G' /run/naru/naru.sock")).toBe("660 root docker");
    await shell(
      "naru load -q -i /opt/share/inner.tar && naru run -d --name keep inner:1 sleep 900",
    );
    const pid = await shell("naru inspect -f '{{.State.Pid}}' keep");
    const isKept = async (): Promise<void> => {
      expect(await shell("naru inspect -f '{{.State.Pid}} {{.State.Status}}' keep")).toBe(
        `${pid} running`,
      );
    };
    await shell("systemctl restart naru.service");
    await isKept();
    const main = await shell("systemctl show -P MainPID naru.service");
    await shell("systemctl kill --kill-who=main -s KILL naru.service");
    await isKept(); // the socket is systemd's: the client waits for the next engine
    expect(await shell("systemctl show -P MainPID naru.service")).not.toBe(main);
    await shell("systemctl stop naru.service 2>&1");
    expect(await shell("pgrep -x sleep")).toBe(pid);
    await isKept();
    expect(await shell("systemctl is-active naru.service")).toBe("active");
    await shell("systemctl reload naru.service");
    expect(await shell("journalctl -u naru.service -o cat --no-pager")).toContain("ready ");
    expect(await shell("naru service uninstall 2>&1")).toContain("containers run on, data stays");
    expect(await shell("ls /etc/systemd/system /run/systemd/units")).not.toContain("naru");
    expect(await shell("pgrep -x sleep")).toBe(pid);
    await shell("naru rm -f keep && naru system reset -f");
    expect(await shell("pgrep -x naru || echo none")).toBe("none");
    await daemon.dockerOk("rm", "-f", "-v", MACHINE);
  },
  360_000,
);

scenario("without systemd it says so", async () => {
  const result = await run([
    ...world.isolation.enter,
    "/usr/bin/env",
    "PATH=/nowhere",
    ...naru,
    "service",
    "install",
  ]);
  expect([result.code, result.stderr]).toEqual([1, expect.stringContaining("systemd")]);
});

nothingIsLeft();
