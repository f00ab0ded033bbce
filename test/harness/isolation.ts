/**
 * A small world for one engine: its own mount and network namespace, with a link to the host.
 *
 * Everything an engine leaves on links, rules and mounts ends with it, the host's own stay
 * untouched, and what is left inside can be listed without seeing other people's things.
 * A holder process keeps the namespaces; `stop` ends it.
 */
import { mkdirSync } from "node:fs";

import { must, run, type Output, type RunOptions } from "./process.ts";

export interface Isolation {
  readonly holderPid: number;
  /** Address of the isolated side, reachable from the host. */
  readonly hostIp: string;
  /** argv in front of a command that shall run inside. */
  readonly enter: readonly string[];
  /** Runs a command on the isolated host's network and mounts. */
  exec(argv: readonly string[], options?: RunOptions): Promise<Output>;
  stop(): Promise<void>;
}

export interface IsolationOptions {
  /** A root file system to pivot into (`/proc`, `/sys`, `/dev`, `/tmp` and `binds` come along). */
  readonly root?: string;
  readonly binds?: readonly string[];
}

const setup = (options: IsolationOptions): string => {
  const lines = [
    "set -e",
    "ip link set lo up",
    // A sysfs of this network namespace, with the host's cgroup mounts under it.
    "mkdir -p /run/naru-e2e-cg && mount -t tmpfs none /run/naru-e2e-cg",
    "mkdir /run/naru-e2e-cg/m && mount --rbind /sys/fs/cgroup /run/naru-e2e-cg/m",
    "mount -t sysfs sysfs /sys",
    "mount --move /run/naru-e2e-cg/m /sys/fs/cgroup",
    "umount /run/naru-e2e-cg",
  ];
  const { root } = options;
  if (root !== undefined) {
    lines.push(`mount --rbind ${root} ${root}`);
    for (const path of ["/proc", "/sys", "/dev", "/tmp", ...(options.binds ?? [])]) {
      lines.push(`mkdir -p ${root}${path} && mount --rbind ${path} ${root}${path}`);
    }
    lines.push(
      `mount -t tmpfs tmpfs ${root}/run`,
      `mkdir -p ${root}/.old && cd ${root} && pivot_root . .old && cd /`,
      "umount -l /.old",
    );
  } else {
    lines.push("mount -t tmpfs tmpfs /run");
  }
  lines.push("mount --make-rshared /", "echo up", "exec sleep infinity");
  return lines.join("\n");
};

/** Makes the world. Undo: `stop`; it also ends with the holder process. */
export const isolate = async (options: IsolationOptions = {}): Promise<Isolation> => {
  for (const path of options.binds ?? []) mkdirSync(path, { recursive: true });
  const holder = Bun.spawn(
    // It must not outlive a killed test process.
    [
      "setpriv",
      "--pdeathsig",
      "KILL",
      "unshare",
      "--mount",
      "--net",
      "--propagation",
      "private",
      "sh",
      "-c",
      setup(options),
    ],
    { stdin: "ignore", stdout: "pipe", stderr: "inherit" },
  );
  const reader = holder.stdout.getReader();
  const first = await reader.read();
  if (!Buffer.from(first.value ?? new Uint8Array()).includes("up")) {
    throw new Error("the namespaces of the engine could not be made");
  }
  reader.releaseLock();
  const pid = String(holder.pid);
  const enter = ["nsenter", "-t", pid, "-m", "-n", "--"];
  const link = `e2e${pid}`.slice(0, 12);
  const net = `198.18.${holder.pid % 256}.${((holder.pid >> 8) % 64) * 4}`;
  const address = (offset: number): string =>
    net.replace(/\d+$/, (d) => String(Number(d) + offset));
  const hostIp = address(2);
  const inside = (...argv: string[]): Promise<string> =>
    must(["nsenter", "-t", pid, "-n", "--", ...argv]);
  await must(["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", pid]);
  await must(["ip", "addr", "add", `${address(1)}/30`, "dev", link]);
  await must(["ip", "link", "set", link, "up"]);
  await inside("ip", "addr", "add", `${hostIp}/30`, "dev", "eth0");
  await inside("ip", "link", "set", "eth0", "up");
  await inside("ip", "route", "add", "default", "via", address(1));
  return {
    holderPid: holder.pid,
    hostIp,
    enter,
    exec: (argv, runOptions) => run([...enter, ...argv], runOptions),
    stop: async () => {
      await run(["ip", "link", "del", link]);
      holder.kill("SIGKILL");
      await holder.exited;
    },
  };
};
