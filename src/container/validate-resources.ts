/** Limits that make sense, in Docker's words (pure; used by create and by update). */
import { NaruError } from "#lib/errors.ts";
import type { Resources } from "#spec/docker/host-config.ts";

const MEMORY_MIN_BYTES = 6 * 1024 * 1024;

const invalid = (message: string): never => {
  throw new NaruError("invalid_argument", message);
};

/** "0-2,7" → [0, 1, 2, 7]; undefined when the text is none. */
const parseCpuList = (text: string): number[] | undefined => {
  const numbers: number[] = [];
  for (const part of text.split(",")) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    if (match === null) return undefined;
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (last < first || last - first > 8192) return undefined;
    for (let number = first; number <= last; number += 1) numbers.push(number);
  }
  return numbers;
};

const validateMemory = (r: Resources): void => {
  if (r.Memory < 0) invalid("Minimum memory limit allowed is 6MB");
  if (r.Memory !== 0 && r.Memory < MEMORY_MIN_BYTES) invalid("Minimum memory limit allowed is 6MB");
  if (r.Memory > 0 && r.MemorySwap > 0 && r.MemorySwap < r.Memory) {
    invalid("Minimum memoryswap limit should be larger than memory limit, see usage");
  }
  if (r.Memory === 0 && r.MemorySwap > 0) {
    invalid("You should always set the Memory limit when using Memoryswap limit, see usage");
  }
  const swappiness = r.MemorySwappiness;
  if (swappiness !== null && (swappiness < -1 || swappiness > 100)) {
    invalid(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  }
  if (r.MemoryReservation !== 0 && r.MemoryReservation < MEMORY_MIN_BYTES) {
    invalid("Minimum memory reservation allowed is 6MB");
  }
  if (r.Memory > 0 && r.MemoryReservation > 0 && r.Memory < r.MemoryReservation) {
    invalid("Minimum memory limit can not be less than memory reservation limit, see usage");
  }
};

const validateCpu = (r: Resources, cpuCount: number): void => {
  if (r.NanoCpus > 0 && (r.CpuPeriod > 0 || r.CpuQuota > 0)) {
    const other = r.CpuPeriod > 0 ? "CPU Period" : "CPU Quota";
    invalid(`Conflicting options: Nano CPUs and ${other} cannot both be set`);
  }
  if (r.NanoCpus < 0 || r.NanoCpus > cpuCount * 1e9) {
    invalid(
      `range of CPUs is from 0.01 to ${cpuCount}.00, as there are only ${cpuCount} CPUs available`,
    );
  }
  if (r.CpuPeriod !== 0 && (r.CpuPeriod < 1000 || r.CpuPeriod > 1_000_000)) {
    invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
  }
  if (r.CpuQuota > 0 && r.CpuQuota < 1000)
    invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)");
  if (r.CpuShares < 0)
    invalid(`invalid CPU shares (${r.CpuShares}): value must be a positive integer`);
};

const validateCpuset = (r: Resources, cpuCount: number): void => {
  if (r.CpusetCpus !== "") {
    const cpus =
      parseCpuList(r.CpusetCpus) ?? invalid(`Invalid value ${r.CpusetCpus} for cpuset cpus`);
    if (cpus.some((cpu) => cpu >= cpuCount)) {
      const available = cpuCount === 1 ? "0" : `0-${cpuCount - 1}`;
      invalid(
        `Requested CPUs are not available - requested ${r.CpusetCpus}, available: ${available}`,
      );
    }
  }
  if (r.CpusetMems !== "" && parseCpuList(r.CpusetMems) === undefined) {
    invalid(`Invalid value ${r.CpusetMems} for cpuset mems`);
  }
};

export const validateResources = (
  resources: Resources,
  host: { readonly cpuCount: number },
): void => {
  validateMemory(resources);
  validateCpu(resources, host.cpuCount);
  validateCpuset(resources, host.cpuCount);
  if (resources.BlkioWeight !== 0 && (resources.BlkioWeight < 10 || resources.BlkioWeight > 1000)) {
    invalid("Range of blkio weight is from 10 to 1000");
  }
};
