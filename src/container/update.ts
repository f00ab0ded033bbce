/** POST rename and update: what may change of a container that exists, live where it runs. */
import { NaruError } from "#lib/errors.ts";
import { failpoint } from "#lib/failpoint.ts";
import { isLive } from "#container/container.ts";
import type { UpdateRequest } from "#container/containers.ts";
import type { ContainerRecord } from "#container/container.ts";
import { endpointNames, filledEndpoints } from "#container/start-network.ts";
import type { Engine } from "#container/engine.ts";
import { checkName } from "#container/names.ts";
import { discardBlockWeights, validateRestartPolicy } from "#container/normalize-host.ts";
import { liveLimits } from "#container/runtime-config/resources.ts";
import { validateResources } from "#container/validate-resources.ts";
import type { HostConfig, Resources } from "#spec/docker/host-config.ts";

/** The networks it is in call it by the new name from now on. */
const renamedEndpoints = (
  engine: Engine,
  record: ContainerRecord,
  name: string,
): Partial<ContainerRecord> => {
  if (record.sandbox === undefined) return {};
  const sandbox = engine.deps.network.rename(record.sandbox, (endpoint) =>
    endpointNames(
      { ...record, name },
      endpoint.networkName,
      record.endpoints[endpoint.networkName]?.Aliases,
    ),
  );
  return { sandbox, endpoints: filledEndpoints(engine, record.endpoints, sandbox.endpoints) };
};

export const renameContainer = (engine: Engine, id: string, newName: string): Promise<void> =>
  engine.actors.run(id, async () => {
    const record = engine.current(id);
    if (newName === "")
      throw new NaruError("invalid_argument", "Neither old nor new names may be empty");
    const name = checkName(newName);
    if (name === record.name) {
      throw new NaruError(
        "invalid_argument",
        "Renaming a container with the same name as its current name",
      );
    }
    using _reservation = engine.states.reserveName(name, id);
    failpoint("rename.before-row");
    const renamed = engine.transition(id, { name, ...renamedEndpoints(engine, record, name) });
    engine.emit(renamed, "rename", { oldName: `/${record.name}` });
  });

/** Which resources an update may change; the others are refused, where Docker passes them over. */
const IS_UPDATABLE: Readonly<Record<keyof Resources, boolean>> = {
  BlkioWeight: true,
  CpuShares: true,
  CpuPeriod: true,
  CpuQuota: true,
  CpusetCpus: true,
  CpusetMems: true,
  Memory: true,
  MemoryReservation: true,
  MemorySwap: true,
  NanoCpus: true,
  PidsLimit: true,
  BlkioWeightDevice: false,
  BlkioDeviceReadBps: false,
  BlkioDeviceWriteBps: false,
  BlkioDeviceReadIOps: false,
  BlkioDeviceWriteIOps: false,
  CgroupParent: false,
  CpuRealtimePeriod: false,
  CpuRealtimeRuntime: false,
  Devices: false,
  DeviceCgroupRules: false,
  DeviceRequests: false,
  MemorySwappiness: false,
  OomKillDisable: false,
  Ulimits: false,
  CpuCount: false,
  CpuPercent: false,
  IOMaximumIOps: false,
  IOMaximumBandwidth: false,
};
const RESOURCES = Object.keys(IS_UPDATABLE) as (keyof Resources)[];
const UPDATABLE = RESOURCES.filter((key) => IS_UPDATABLE[key]);

const isEmpty = (value: unknown): boolean => !value || (Array.isArray(value) && value.length === 0);

/** Throws not_implemented for what would change something that stays as it was created. */
export const checkUpdatable = (host: HostConfig, request: UpdateRequest): void => {
  for (const key of RESOURCES) {
    const value = request[key];
    if (IS_UPDATABLE[key] || isEmpty(value) || Bun.deepEquals(value, host[key])) continue;
    throw new NaruError(
      "not_implemented",
      `an update of "${key}" is not supported: create the container anew with it`,
    );
  }
};

/** Zero and empty mean "as it is" (Docker's rule), so does anything absent. Zero PidsLimit lifts it. */
const merge = (host: HostConfig, request: UpdateRequest): HostConfig => {
  const merged: HostConfig = { ...host };
  for (const key of UPDATABLE) {
    const value = request[key];
    const isKept = value === 0 && key !== "PidsLimit";
    if (value === undefined || value === null || isKept || value === "") continue;
    Object.assign(merged, { [key]: value });
  }
  // --cpus and period/quota exclude each other: the newer word wins.
  if ((request.NanoCpus ?? 0) > 0) {
    const { CpuPeriod = 0, CpuQuota = 0 } = request;
    Object.assign(merged, { CpuPeriod, CpuQuota });
  }
  if ((request.CpuQuota ?? 0) > 0 || (request.CpuPeriod ?? 0) > 0) {
    if (host.NanoCpus > 0)
      throw new NaruError(
        "invalid_argument",
        "Conflicting options: CPU Period/Quota cannot be updated as NanoCPUs has already been set",
      );
  }
  // Shown as zero: somebody took the limit away.
  if (merged.PidsLimit !== null && merged.PidsLimit <= 0) merged.PidsLimit = 0;
  const policy = { Name: "", MaximumRetryCount: 0, ...request.RestartPolicy } as const;
  if (policy.Name !== "") {
    validateRestartPolicy(policy);
    if (host.AutoRemove && policy.Name !== "no") {
      throw new NaruError(
        "conflict",
        "Restart policy cannot be updated because AutoRemove is enabled for the container",
      );
    }
    merged.RestartPolicy = policy;
  }
  return merged;
};

const checkMemory = (host: HostConfig, merged: HostConfig, request: UpdateRequest): void => {
  const hasNewMemory = (request.Memory ?? 0) !== 0;
  if (
    hasNewMemory &&
    (request.MemorySwap ?? 0) === 0 &&
    merged.MemorySwap > 0 &&
    merged.Memory > merged.MemorySwap
  ) {
    throw new NaruError(
      "conflict",
      "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
    );
  }
  if (host.Memory === 0 && hasNewMemory && merged.MemorySwap === 0)
    merged.MemorySwap = merged.Memory * 2;
};

export const updateContainer = (
  engine: Engine,
  id: string,
  request: UpdateRequest,
): Promise<{ Warnings: string[] | null }> =>
  engine.actors.run(id, async () => {
    const record = engine.current(id);
    if (record.state.status === "removing" || record.state.status === "dead") {
      throw new NaruError(
        "conflict",
        `Cannot update container ${id}: container is marked for removal and cannot be "update"`,
      );
    }
    const wanted = { ...request };
    const warnings = discardBlockWeights(wanted, engine.deps.facts);
    checkUpdatable(record.hostConfig, wanted);
    const hostConfig = merge(record.hostConfig, wanted);
    checkMemory(record.hostConfig, hostConfig, wanted);
    validateResources(hostConfig, engine.deps.facts);
    if (isLive(record.state))
      engine.deps.cgroups.update(engine.cgroupOf(record), liveLimits(hostConfig));
    engine.emit(engine.transition(id, { hostConfig }), "update");
    return { Warnings: warnings.length === 0 ? null : warnings };
  });
