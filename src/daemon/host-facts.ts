/** What containers can be given here: the machine's powers and the daemon's defaults. */
import { existsSync, readFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname } from "node:path";
import type { HostFacts } from "#container/normalize-host.ts";
import type { CgroupKernel } from "#kernel/cgroup-kernel.ts";
import type { DaemonConfig } from "#daemon/config.ts";
import type { Tools } from "#daemon/tools.ts";
import { type Capability, capabilitiesOfMask } from "#spec/runtime/capabilities.ts";

/** The bounding set of this process: what containers can be given at most. */
export const ownCapabilities = (): Capability[] => {
  const mask = /^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return capabilitiesOfMask(mask ?? "0");
};

const hasApparmor = (): boolean => {
  const path = "/sys/module/apparmor/parameters/enabled";
  return existsSync(path) && readFileSync(path, "utf8").startsWith("Y");
};

/** v1 lost its file of weights together with the CFQ scheduler (Linux 5.0). */
const hasBlockWeight = (cgroups: CgroupKernel): boolean => {
  if (cgroups.mode === "v2") return true;
  const some = cgroups.pathsOf("/naru").get("blkio");
  return some !== undefined && existsSync(`${dirname(some)}/blkio.weight`);
};

/** What a container's orders are checked against and filled up from. */
export const hostFacts = (
  config: DaemonConfig,
  tools: Tools,
  cgroups: CgroupKernel,
  capabilities: readonly Capability[],
): HostFacts => ({
  capabilities,
  hasApparmor: hasApparmor(),
  hasBlockWeight: hasBlockWeight(cgroups),
  isCgroupV2: cgroups.mode === "v2",
  cpuCount: cpus().length,
  runtimes: [...tools.runtimes.keys()],
  defaultRuntime: tools.defaultRuntime,
  logDriver: config.logDriver,
  logOptions: config.logOptions,
  shmSizeBytes: config.shmSizeBytes,
  oomScoreAdj: Number(readFileSync("/proc/self/oom_score_adj", "utf8")),
  hasInit: config.hasInit,
});
