/** What `naru doctor` looks at. Each check answers with a finding; none changes anything. */
import { existsSync, readFileSync, statfsSync } from "node:fs";
import { release } from "node:os";
import { createCgroupKernel } from "#kernel/cgroup.ts";
import { createKernel } from "#kernel/real.ts";
import { createNftKernel } from "#kernel/nft.ts";
import { readSysctl } from "#kernel/sysctl.ts";
import { probeErofsIn } from "#snapshot/erofs-probe.ts";
import { findTool } from "#daemon/tools.ts";

export type Verdict = "ok" | "warning" | "problem";

export interface Finding {
  readonly subject: string;
  readonly verdict: Verdict;
  readonly detail: string;
  /** What to do; "" when nothing. */
  readonly remedy: string;
}

const ok = (subject: string, detail: string): Finding => ({
  subject,
  verdict: "ok",
  detail,
  remedy: "",
});
const warning = (subject: string, detail: string, remedy: string): Finding => ({
  subject,
  verdict: "warning",
  detail,
  remedy,
});
const problem = (subject: string, detail: string, remedy: string): Finding => ({
  subject,
  verdict: "problem",
  detail,
  remedy,
});

const checkRoot = (): Finding =>
  process.geteuid?.() === 0
    ? ok("user", "root")
    : problem(
        "user",
        "not root",
        "run naru daemon as root; members of the group docker may use it",
      );

const KERNEL_MIN = [5, 10] as const;

const checkKernel = (): Finding => {
  const [major = 0, minor = 0] = release().split(/[.-]/).map(Number);
  const isOld = major < KERNEL_MIN[0] || (major === KERNEL_MIN[0] && minor < KERNEL_MIN[1]);
  return isOld
    ? problem("kernel", release(), `naru needs Linux ${KERNEL_MIN.join(".")} or newer`)
    : ok("kernel", release());
};

const checkFileSystems = (): Finding => {
  const known = readFileSync("/proc/filesystems", "utf8");
  return /\boverlay\b/.test(known)
    ? ok("overlayfs", "available")
    : problem(
        "overlayfs",
        "not in /proc/filesystems",
        "modprobe overlay, or use a kernel that has CONFIG_OVERLAY_FS",
      );
};

/** Where the data root's file system is, or will be. */
const existingPart = (path: string): string => {
  let found = path;
  while (!existsSync(found)) found = found.slice(0, found.lastIndexOf("/")) || "/";
  return found;
};

const checkLayers = (dataRoot: string): Finding => {
  const failure = probeErofsIn(createKernel(), existingPart(dataRoot));
  return failure === undefined
    ? ok("layers", "mounted from their tars (EROFS)")
    : warning(
        "layers",
        `unpacked into directories: ${failure.reason}`,
        "pulls and loads are faster on Linux 6.15 or newer with CONFIG_EROFS_FS_BACKED_BY_FILE",
      );
};

const NAMESPACES = ["mnt", "pid", "net", "ipc", "uts", "cgroup"] as const;

const checkNamespaces = (): Finding => {
  const missing = NAMESPACES.filter((name) => !existsSync(`/proc/self/ns/${name}`));
  return missing.length === 0
    ? ok("namespaces", NAMESPACES.join(", "))
    : problem(
        "namespaces",
        `missing: ${missing.join(", ")}`,
        "use a kernel built with these namespaces",
      );
};

const CONTROLLERS = ["cpu", "cpuset", "memory", "pids", "devices", "freezer", "blkio"] as const;
/** v2 has other names for some, and does devices and freezing without a controller. */
const V2_CONTROLLERS = ["cpu", "cpuset", "memory", "pids", "io"] as const;

const checkCgroups = (): Finding => {
  const { mode, controllers } = createCgroupKernel();
  const wanted: readonly string[] = mode === "v2" ? V2_CONTROLLERS : CONTROLLERS;
  const missing = wanted.filter((name) => !controllers.has(name));
  const detail = `${mode}: ${[...controllers].toSorted().join(", ")}`;
  return missing.length === 0
    ? ok("cgroups", detail)
    : warning(
        "cgroups",
        `${detail}; missing: ${missing.join(", ")}`,
        "limits of these kinds will not work: enable the controllers at boot",
      );
};

const checkSeccomp = (): Finding =>
  /^Seccomp:/m.test(readFileSync("/proc/self/status", "utf8"))
    ? ok("seccomp", "available")
    : problem("seccomp", "not in this kernel", "use a kernel with CONFIG_SECCOMP_FILTER");

interface ToolSpec {
  readonly name: string;
  readonly package: string;
  readonly isRequired: boolean;
  readonly use: string;
}

const TOOLS: readonly ToolSpec[] = [
  {
    name: "crun",
    package: "crun",
    isRequired: false,
    use: "runs containers; runc is the slower fallback",
  },
  {
    name: "conmon",
    package: "conmon",
    isRequired: true,
    use: "keeps containers while the daemon is away",
  },
  { name: "nft", package: "nftables", isRequired: true, use: "networks and published ports" },
  {
    name: "busybox",
    package: "busybox-static",
    isRequired: false,
    use: "the built-in image naru/hello",
  },
  { name: "tini-static", package: "tini", isRequired: false, use: "--init" },
  { name: "ps", package: "procps", isRequired: false, use: "naru top" },
  {
    name: "igzip",
    package: "isal",
    isRequired: false,
    use: "fast gzip; without it loading is slower",
  },
  { name: "zstd", package: "zstd", isRequired: false, use: "zstd layers" },
  { name: "xz", package: "xz-utils", isRequired: false, use: "xz archives" },
  { name: "mmdebstrap", package: "mmdebstrap", isRequired: false, use: "naru image bootstrap" },
];

const versionOf = (path: string): string => {
  const { stdout, stderr } = Bun.spawnSync([path, "--version"], { timeout: 2000 });
  const text = `${stdout.toString()}\n${stderr.toString()}`;
  return /\d+\.\d+(\.\d+)?/.exec(text)?.[0] ?? "";
};

const checkTool = (tool: ToolSpec): Finding => {
  const path = findTool(tool.name);
  if (path !== undefined) return ok(tool.name, `${path} ${versionOf(path)}`.trim());
  const detail = `not installed (${tool.use})`;
  const remedy = `apt-get install ${tool.package}`;
  return tool.isRequired ? problem(tool.name, detail, remedy) : warning(tool.name, detail, remedy);
};

const checkRuntimes = (): Finding => {
  const found = ["crun", "runc"].filter((name) => findTool(name) !== undefined);
  return found.length > 0
    ? ok("OCI runtime", found.join(", "))
    : problem("OCI runtime", "neither crun nor runc is installed", "apt-get install crun");
};

const checkFirewall = async (): Promise<Finding> => {
  if (findTool("nft") === undefined)
    return problem("firewall", "nft is missing", "apt-get install nftables");
  try {
    const tables = await createNftKernel().listTables();
    return ok("firewall", `nftables, ${tables.length} table${tables.length === 1 ? "" : "s"}`);
  } catch (error) {
    return problem("firewall", String(error), "use a kernel with nf_tables, and run as root");
  }
};

const checkForwarding = (): Finding =>
  readSysctl("net.ipv4.ip_forward") === "1"
    ? ok("forwarding", "net.ipv4.ip_forward=1")
    : ok("forwarding", "net.ipv4.ip_forward=0 (the daemon sets it to 1)");

const DISK_MIN_BYTES = 2 * 2 ** 30;

const checkDisk = (dataRoot: string): Finding => {
  const { bavail, bsize, ffree, files } = statfsSync(existingPart(dataRoot));
  const free = bavail * bsize;
  const detail = `${(free / 2 ** 30).toFixed(1)} GiB free for ${dataRoot}`;
  if (files > 0 && ffree < 10_000)
    return warning(
      "disk",
      `${detail}, only ${ffree} inodes left`,
      "remove unused images: naru image prune -a",
    );
  return free < DISK_MIN_BYTES
    ? warning("disk", detail, "free some space: naru system prune, or move --data-root")
    : ok("disk", detail);
};

const checkFileLimit = (): Finding => {
  const line =
    /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? "";
  return line !== "unlimited" && Number(line) < 4096
    ? warning("open files", `limit ${line}`, "ulimit -n 1048576 before starting the daemon")
    : ok("open files", `limit ${line}`);
};

const guarded = async (check: () => Finding | Promise<Finding>): Promise<Finding> => {
  try {
    return await check();
  } catch (error) {
    return problem(
      "check",
      error instanceof Error ? error.message : String(error),
      "run naru doctor as root",
    );
  }
};

export const examineHost = (dataRoot: string): Promise<Finding[]> =>
  Promise.all(
    [
      checkRoot,
      checkKernel,
      checkFileSystems,
      () => checkLayers(dataRoot),
      checkNamespaces,
      checkCgroups,
      checkSeccomp,
      checkRuntimes,
      ...TOOLS.map((tool) => () => checkTool(tool)),
      checkFirewall,
      checkForwarding,
      checkFileLimit,
      () => checkDisk(dataRoot),
    ].map(guarded),
  );
