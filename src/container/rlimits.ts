/** The limits of a container's processes: what was asked for, as far as this host allows it. */
import type { ContainerRecord } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { isSetLate, processRlimits } from "#container/runtime-config/process.ts";
import type { ProcessKernel, RlimitName } from "#kernel/kernel.ts";
import type { HostConfig } from "#spec/docker/host-config.ts";
import type { RuntimeRlimit } from "#spec/runtime/config.ts";
import { fromUint64 } from "#spec/runtime/uint64.ts";

export const rlimitsOf = (
  kernel: Pick<ProcessKernel, "hardLimit">,
  { Ulimits }: Pick<HostConfig, "Ulimits">,
): RuntimeRlimit[] =>
  processRlimits(Ulimits ?? [], (name) => kernel.hardLimit(name as RlimitName)).rlimits;

const lateLimits = ({ deps }: Engine, { hostConfig }: ContainerRecord): RuntimeRlimit[] =>
  rlimitsOf(deps.kernel, hostConfig).filter(isSetLate);

export const hasLateLimits = (engine: Engine, record: ContainerRecord): boolean =>
  lateLimits(engine, record).length > 0;

/** For a process that waits to be let go: the runtime has done its part with limits of its own. */
export const setLateLimits = (engine: Engine, record: ContainerRecord, pid: number): void => {
  for (const { type, soft, hard } of lateLimits(engine, record)) {
    const name = type.slice("RLIMIT_".length).toLowerCase() as RlimitName;
    engine.deps.kernel.limitProcess(pid, name, fromUint64(soft), fromUint64(hard));
  }
};
