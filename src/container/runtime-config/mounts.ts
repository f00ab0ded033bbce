/** The `mounts` of config.json: kernel file systems, naru's files, and what the user asked for. */
import type { RuntimeMount } from "#spec/runtime/config.ts";

export interface MountOptions {
  readonly isPrivileged: boolean;
  readonly isCgroupWritable: boolean;
  readonly shmSizeBytes: number;
  /** "private", "shareable", "none", "host", "container:ID". */
  readonly ipcMode: string;
  /** The shm directory of the container whose IPC namespace is joined, or of this one when shareable. */
  readonly shmPath: string | undefined;
  readonly hasHostMqueue: boolean;
  readonly isHostNetwork: boolean;
  /** Host paths of hosts, resolv.conf and hostname, bound writable as Docker does. */
  readonly files: readonly { readonly destination: string; readonly source: string }[];
  /** By destination: bind, volume, tmpfs and image mounts, parents before children. */
  readonly user: readonly RuntimeMount[];
  readonly initPath: string | undefined;
}

const mount = (
  destination: string,
  type: string,
  source: string,
  ...options: string[]
): RuntimeMount => ({
  destination,
  type,
  source,
  options,
});

const shmMount = (options: MountOptions): RuntimeMount[] => {
  if (options.ipcMode === "none") return [];
  if (options.ipcMode === "host")
    return [mount("/dev/shm", "bind", "/dev/shm", "rbind", "rprivate")];
  if (options.shmPath !== undefined) {
    return [mount("/dev/shm", "bind", options.shmPath, "rbind", "rprivate")];
  }
  return [
    mount(
      "/dev/shm",
      "tmpfs",
      "shm",
      "nosuid",
      "noexec",
      "nodev",
      "mode=1777",
      `size=${options.shmSizeBytes}`,
    ),
  ];
};

const kernelMounts = (options: MountOptions): RuntimeMount[] => {
  const access = options.isPrivileged ? "rw" : "ro";
  const cgroupAccess = options.isCgroupWritable ? "rw" : access;
  return [
    mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
    mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
    mount(
      "/dev/pts",
      "devpts",
      "devpts",
      "nosuid",
      "noexec",
      "newinstance",
      "ptmxmode=0666",
      "mode=0620",
      "gid=5",
    ),
    // sysfs belongs to the network namespace: with the host's it must be bound, not mounted anew.
    options.isHostNetwork && !options.isPrivileged
      ? mount("/sys", "bind", "/sys", "rbind", "nosuid", "noexec", "nodev", "ro")
      : mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", access),
    mount("/sys/fs/cgroup", "cgroup", "cgroup", cgroupAccess, "nosuid", "noexec", "nodev"),
    // With --ipc host runtimes bind the host's directory, which some hosts do not have.
    ...(options.ipcMode === "host" && !options.hasHostMqueue
      ? []
      : [mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev")]),
  ];
};

/** naru's own files, and its init. */
const ownFiles = ({ files, initPath }: MountOptions): RuntimeMount[] => [
  ...files.map((file) => mount(file.destination, "bind", file.source, "rbind", "rprivate")),
  ...(initPath === undefined ? [] : [mount("/sbin/docker-init", "bind", initPath, "bind", "ro")]),
];

/**
 * A user's mount on a standard destination replaces the standard one. One over a folder that naru's own
 * files are in (a volume at /etc) does not hide them: they come after it.
 */
export const runtimeMounts = (options: MountOptions): RuntimeMount[] => {
  const overridden = new Set(options.user.map((entry) => entry.destination));
  const isWanted = (entry: RuntimeMount): boolean => !overridden.has(entry.destination);
  const isCovered = ({ destination }: RuntimeMount): boolean =>
    options.user.some((entry) => destination.startsWith(`${entry.destination}/`));
  const files = ownFiles(options).filter(isWanted);
  return [
    ...[...kernelMounts(options), ...shmMount(options)].filter(isWanted),
    ...files.filter((file) => !isCovered(file)),
    ...options.user,
    ...files.filter(isCovered),
  ];
};

export const DEFAULT_MASKED_PATHS: readonly string[] = [
  "/proc/asound",
  "/proc/acpi",
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
];

export const DEFAULT_READONLY_PATHS: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];
