/** Seccomp filters for containers: compiled once per profile and set of capabilities. */
import { readFileSync } from "node:fs";
import { release } from "node:os";
import { NaruError } from "#lib/errors.ts";
import type { SeccompForContainers } from "#container/dependencies.ts";
import { seccompForCrun } from "#spec/runtime/seccomp-crun.ts";
import { DEFAULT_SECCOMP_PROFILE } from "#spec/runtime/seccomp-default.ts";
import { toOciSeccomp } from "#spec/runtime/seccomp-oci.ts";
import { parseSeccompProfile } from "#spec/runtime/seccomp-parse.ts";
import type { SeccompProfile, SeccompTarget } from "#spec/runtime/seccomp-profile.ts";

const CACHE_MAX_COUNT = 256;

type Filter = ReturnType<SeccompForContainers["forContainer"]>;

const targetOf = (capabilities: readonly string[]): SeccompTarget => {
  const [major = 0, minor = 0] = release().split(/[.-]/).map(Number);
  return {
    arch: process.arch === "arm64" ? "aarch64" : "x86_64",
    kernel: [major, minor],
    capabilities: [...capabilities],
  };
};

/** crun takes a finished program by annotation; other runtimes translate the profile themselves. */
const makeFilter = (
  runtimeName: string,
  profile: SeccompProfile,
  capabilities: readonly string[],
): Filter => {
  const target = targetOf(capabilities);
  if (runtimeName !== "crun") return { seccomp: toOciSeccomp(profile, target) };
  const { annotations, seccomp } = seccompForCrun(profile, target);
  return { annotations, seccomp };
};

/** `defaultProfile`: the daemon's `--seccomp-profile` (a path, "builtin" or "unconfined"). */
export const createSeccomp = (defaultProfile: string | undefined): SeccompForContainers => {
  const cache = new Map<string, Filter>();
  const readDefault = (): string | undefined => {
    if (defaultProfile === undefined || defaultProfile === "builtin") return undefined;
    if (defaultProfile === "unconfined") return "unconfined";
    try {
      return readFileSync(defaultProfile, "utf8");
    } catch (cause) {
      throw new NaruError(
        "invalid_argument",
        `cannot read the seccomp profile "${defaultProfile}"`,
        { cause },
      );
    }
  };
  const fallback = readDefault();
  return {
    forContainer: (runtimeName, asked, capabilities) => {
      const text = asked ?? fallback;
      if (text === "unconfined") return {};
      const key = `${runtimeName}\n${capabilities.join()}\n${text ?? ""}`;
      const cached = cache.get(key);
      if (cached !== undefined) return cached;
      const profile = text === undefined ? DEFAULT_SECCOMP_PROFILE : parseSeccompProfile(text);
      const filter = makeFilter(runtimeName, profile, capabilities);
      if (cache.size >= CACHE_MAX_COUNT) cache.clear();
      cache.set(key, filter);
      return filter;
    },
  };
};
