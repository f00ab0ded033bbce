/**
 * What this machine's processor runs: with amd64 the level of its instructions, which images for
 * amd64/v2 to v4 ask for (x86-64 psABI, "Micro-Architecture Levels"; flags as in Linux's /proc/cpuinfo).
 */
import { closeSync, openSync, readSync } from "node:fs";

import { HOST_PLATFORM, type Platform } from "#spec/image/platform.ts";

const LEVELS: readonly (readonly [variant: string, flags: string])[] = [
  ["v2", "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"],
  ["v3", "avx avx2 bmi1 bmi2 f16c fma abm movbe xsave"],
  ["v4", "avx512f avx512bw avx512cd avx512dq avx512vl"],
];

/** "v2" to "v4"; undefined where the processor has the base alone. `cpuinfo`: /proc/cpuinfo, or its beginning. */
export const amd64Variant = (cpuinfo: string): string | undefined => {
  const [, line = ""] = /^flags\s*:(.*)$/m.exec(cpuinfo) ?? [];
  const flags = new Set(line.trim().split(/\s+/));
  let variant: string | undefined;
  for (const [level, needed] of LEVELS) {
    if (!needed.split(" ").every((flag) => flags.has(flag))) break;
    variant = level;
  }
  return variant;
};

/** The first processor stands for all; the file of a large machine is long. */
const CPUINFO_BYTES = 16 * 1024;

const readCpuinfo = (): string => {
  let descriptor: number | undefined;
  try {
    descriptor = openSync("/proc/cpuinfo", "r");
    const bytes = Buffer.alloc(CPUINFO_BYTES);
    return bytes.toString("latin1", 0, readSync(descriptor, bytes, 0, CPUINFO_BYTES, 0));
  } catch {
    // Without /proc the base level is what is known to run.
    return "";
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
};

let known: Platform | undefined;

/** `HOST_PLATFORM` with the processor's level: what images are chosen by where nobody names a platform. Read once. */
export const machinePlatform = (): Platform => {
  if (known !== undefined) return known;
  const variant =
    HOST_PLATFORM.architecture === "amd64" ? amd64Variant(readCpuinfo()) : HOST_PLATFORM.variant;
  known = variant === undefined ? HOST_PLATFORM : { ...HOST_PLATFORM, variant };
  return known;
};
