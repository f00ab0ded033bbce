/** The flags of `run` and `create` that describe the container. */
import {
  bool,
  contentTrust,
  integer,
  list,
  parseInteger,
  text,
  value,
} from "#cli/framework/flags.ts";
import type { Flag } from "#cli/framework/flags.ts";
import { parseDuration } from "#cli/format/units.ts";
import {
  parseAttach,
  parseDeviceRule,
  parseDnsSearch,
  parseExtraHost,
  parseLabel,
  parseSysctl,
} from "#cli/run-options/checks.ts";
import { parseEnv } from "#cli/run-options/environment.ts";
import { parseMount } from "#cli/run-options/mounts.ts";
import { parseAddress, parseNetwork } from "#cli/run-options/networks.ts";
import {
  parseCpus,
  parseDeviceBps,
  parseDeviceIops,
  parseGpus,
  parseMemory,
  parseMemorySwap,
  parseUlimit,
  parseWeight,
  parseWeightDevice,
} from "#cli/run-options/resources.ts";

/** A repeated flag whose values are parsed one by one. */
const many = <T>(
  help: string,
  type: string,
  parse: (given: string) => T,
  extra: Partial<Pick<Flag<unknown>, "short" | "aliases" | "completes">> = {},
): Flag<readonly T[]> =>
  value<readonly T[]>(help, type, [], (given, previous) => [...previous, parse(given)], extra);

const one = <T>(
  help: string,
  type: string,
  parse: (given: string) => T,
  short?: string,
): Flag<T | undefined> =>
  value<T | undefined>(help, type, undefined, parse, short === undefined ? {} : { short });

const duration = (help: string): Flag<number | undefined> => one(help, "duration", parseDuration);

export const generalFlags = {
  annotation: list("Add an annotation to the container (passed through to the OCI runtime)"),
  attach: many("Attach to STDIN, STDOUT or STDERR", "list", parseAttach, { short: "a" }),
  cidfile: text("Write the container ID to the file", undefined, { completes: "files" }),
  domainname: text("Container NIS domain name"),
  entrypoint: text("Overwrite the default ENTRYPOINT of the image"),
  env: many("Set environment variables", "list", parseEnv, { short: "e" }),
  "env-file": list("Read in a file of environment variables", undefined, { completes: "files" }),
  "group-add": list("Add additional groups to join"),
  hostname: text("Container host name", "h"),
  init: bool("Run an init inside the container that forwards signals and reaps processes"),
  interactive: bool("Keep STDIN open even if not attached", "i"),
  label: many("Set meta data on a container", "list", parseLabel, { short: "l" }),
  "label-file": list("Read in a line delimited file of labels", undefined, { completes: "files" }),
  name: text("Assign a name to the container"),
  platform: text("Set platform if server is multi-platform capable"),
  pull: text('Pull image before running ("always", "missing", "never")', undefined, {
    shownDefault: "missing",
    completes: ["always", "missing", "never"],
  }),
  quiet: bool("Suppress the pull output", "q"),
  "read-only": bool("Mount the container's root filesystem as read only"),
  restart: text("Restart policy to apply when a container exits", undefined, {
    shownDefault: "no",
    completes: ["no", "always", "unless-stopped", "on-failure"],
  }),
  rm: bool("Remove the container and its anonymous volumes when it exits"),
  "stop-signal": text("Signal to stop the container"),
  "stop-timeout": integer("Timeout (in seconds) to stop a container"),
  sysctl: many("Sysctl options", "map", parseSysctl),
  tty: bool("Allocate a pseudo-TTY", "t"),
  "use-api-socket": bool("Bind mount the API socket (not supported)", undefined, {
    isHidden: true,
  }),
  user: text("Username or UID (format: <name|uid>[:<group|gid>])", "u"),
  workdir: text("Working directory inside the container", "w"),
};

export const securityFlags = {
  "cap-add": list("Add Linux capabilities"),
  "cap-drop": list("Drop Linux capabilities"),
  cgroupns: text('Cgroup namespace to use ("host" or "private")', undefined, {
    completes: ["host", "private"],
  }),
  privileged: bool("Give extended privileges to this container"),
  "security-opt": list("Security Options"),
  userns: text("User namespace to use"),
};

export const networkFlags = {
  "add-host": many("Add a custom host-to-IP mapping (host:ip)", "list", parseExtraHost),
  dns: many("Set custom DNS servers", "list", parseAddress),
  "dns-option": list("Set DNS options", undefined, { aliases: ["dns-opt"] }),
  "dns-search": many("Set custom DNS search domains", "list", parseDnsSearch),
  expose: list("Expose a port or a range of ports"),
  ip: one("IPv4 address (e.g., 172.30.100.104)", "ip", parseAddress),
  ip6: one("IPv6 address (e.g., 2001:db8::33)", "ip", parseAddress),
  link: list("Add link to another container"),
  "link-local-ip": many("Container IPv4/IPv6 link-local addresses", "list", parseAddress),
  "mac-address": text("Container MAC address (e.g., 92:d0:c6:0a:29:33)"),
  network: many("Connect a container to a network", "network", parseNetwork, {
    aliases: ["net"],
    completes: "networks",
  }),
  "network-alias": list("Add network-scoped alias for the container", undefined, {
    aliases: ["net-alias"],
  }),
  publish: list("Publish a container's port(s) to the host", "p"),
  "publish-all": bool("Publish all exposed ports to random ports", "P"),
};

export const storageFlags = {
  "log-driver": text("Logging driver for the container"),
  "log-opt": list("Log driver options"),
  mount: many("Attach a filesystem mount to the container", "mount", parseMount),
  "storage-opt": list("Storage driver options for the container"),
  tmpfs: list("Mount a tmpfs directory"),
  volume: list("Bind mount a volume", "v", { completes: "volumes" }),
  "volume-driver": text("Optional volume driver for the container"),
  "volumes-from": list("Mount volumes from the specified container(s)", undefined, {
    completes: "containers",
  }),
};

export const healthFlags = {
  "health-cmd": text("Command to run to check health"),
  "health-interval": duration("Time between running the check (ms|s|m|h) (default 0s)"),
  "health-retries": integer("Consecutive failures needed to report unhealthy"),
  "health-start-interval": duration(
    "Time between running the check during the start period (ms|s|m|h) (default 0s)",
  ),
  "health-start-period": duration(
    "Time for the container to initialize before retries count (ms|s|m|h) (default 0s)",
  ),
  "health-timeout": duration("Maximum time to allow one check to run (ms|s|m|h) (default 0s)"),
  "no-healthcheck": bool("Disable any container-specified HEALTHCHECK"),
};

/** Shared with `update`. */
export const limitFlags = {
  "blkio-weight": one(
    "Block IO (relative weight), between 10 and 1000, or 0 to disable",
    "uint16",
    parseWeight,
  ),
  "cpu-period": integer("Limit CPU CFS (Completely Fair Scheduler) period"),
  "cpu-quota": integer("Limit CPU CFS (Completely Fair Scheduler) quota"),
  "cpu-rt-period": integer("Limit CPU real-time period in microseconds"),
  "cpu-rt-runtime": integer("Limit CPU real-time runtime in microseconds"),
  "cpu-shares": integer("CPU shares (relative weight)", "c"),
  cpus: one("Number of CPUs", "decimal", parseCpus),
  "cpuset-cpus": text("CPUs in which to allow execution (0-3, 0,1)"),
  "cpuset-mems": text("MEMs in which to allow execution (0-3, 0,1)"),
  memory: one("Memory limit", "bytes", parseMemory, "m"),
  "memory-reservation": one("Memory soft limit", "bytes", parseMemory),
  "memory-swap": one(
    "Swap limit equal to memory plus swap: '-1' to enable unlimited swap",
    "bytes",
    parseMemorySwap,
  ),
  "pids-limit": integer("Tune container pids limit (set -1 for unlimited)"),
};

export const resourceFlags = {
  ...limitFlags,
  "blkio-weight-device": many(
    "Block IO weight (relative device weight)",
    "list",
    parseWeightDevice,
  ),
  "cgroup-parent": text("Optional parent cgroup for the container"),
  device: list("Add a host device to the container"),
  "device-cgroup-rule": many(
    "Add a rule to the cgroup allowed devices list",
    "list",
    parseDeviceRule,
  ),
  "device-read-bps": many(
    "Limit read rate (bytes per second) from a device",
    "list",
    parseDeviceBps,
  ),
  "device-read-iops": many(
    "Limit read rate (IO per second) from a device",
    "list",
    parseDeviceIops,
  ),
  "device-write-bps": many(
    "Limit write rate (bytes per second) to a device",
    "list",
    parseDeviceBps,
  ),
  "device-write-iops": many(
    "Limit write rate (IO per second) to a device",
    "list",
    parseDeviceIops,
  ),
  gpus: many(
    "GPU devices to add to the container ('all' to pass all GPUs)",
    "gpu-request",
    parseGpus,
  ),
  ipc: text("IPC mode to use"),
  isolation: text("Container isolation technology"),
  "memory-swappiness": value<number | undefined>(
    "Tune container memory swappiness (0 to 100)",
    "int",
    undefined,
    parseInteger,
    { shownDefault: "-1" },
  ),
  "oom-kill-disable": bool("Disable OOM Killer"),
  "oom-score-adj": integer("Tune host's OOM preferences (-1000 to 1000)"),
  pid: text("PID namespace to use"),
  runtime: text("Runtime to use for this container"),
  "shm-size": one("Size of /dev/shm", "bytes", parseMemory),
  ulimit: many("Ulimit options", "ulimit", parseUlimit),
  uts: text("UTS namespace to use"),
};

export const containerFlags = {
  "disable-content-trust": contentTrust(),
  ...generalFlags,
  ...securityFlags,
  ...networkFlags,
  ...storageFlags,
  ...healthFlags,
  ...resourceFlags,
};
