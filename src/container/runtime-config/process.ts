/** The `process` of config.json: arguments, environment, user, capabilities, rlimits. */
import { NaruError } from "#lib/errors.ts";
import type { RuntimeCapabilities, RuntimeRlimit } from "#spec/runtime/config.ts";
import { fromUint64, uint64 } from "#spec/runtime/uint64.ts";
import type { Ulimit } from "#spec/docker/host-config.ts";

const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The name of a variable in "NAME=value" or "NAME". */
export const envKey = (entry: string): string => {
  const at = entry.indexOf("=");
  return at < 0 ? entry : entry.slice(0, at);
};

/**
 * `overrides` win over `base`. An entry without "=" stays as it is: it says that the process is not to
 * have the variable (Docker's rule).
 */
export const overrideEnv = (base: readonly string[], overrides: readonly string[]): string[] => [
  ...new Map([...base, ...overrides].map((entry) => [envKey(entry), entry])).values(),
];

/** As `overrideEnv`, without the variables that are not to be. */
export const mergeEnv = (base: readonly string[], overrides: readonly string[]): string[] =>
  overrideEnv(base, overrides).filter((entry) => entry.includes("="));

/** Docker's order: PATH, HOSTNAME, TERM, then the container's own; HOME last when nobody set it. */
export const processEnv = (options: {
  env: readonly string[];
  /** Variables that tell of linked containers. */
  linked?: readonly string[];
  hostname: string;
  isTty: boolean;
  home: string;
}): string[] => {
  const base = [DEFAULT_PATH, `HOSTNAME=${options.hostname}`];
  if (options.isTty) base.push("TERM=xterm");
  const env = mergeEnv([...base, ...(options.linked ?? [])], options.env);
  // An empty one counts as none (runc's rule).
  const isHome = (entry: string): boolean => envKey(entry) === "HOME";
  if (env.some((entry) => isHome(entry) && entry !== "HOME=")) return env;
  return [...env.filter((entry) => !isHome(entry)), `HOME=${options.home}`];
};

export const processCapabilities = (
  names: readonly string[],
  isRoot: boolean,
): RuntimeCapabilities => {
  const set = [...names];
  // A non-root user keeps the bounding set only: what setuid programs may regain (moby oci/caps).
  return isRoot
    ? { bounding: set, effective: set, permitted: set }
    : { bounding: set, effective: [], permitted: [] };
};

const UNLIMITED = 2n ** 64n - 1n;

/**
 * Limits above what this host lets naru raise are clamped rather than failed (hosts without
 * CAP_SYS_RESOURCE); the warning says so.
 */
export const processRlimits = (
  ulimits: readonly Ulimit[],
  hardLimit: (name: string) => bigint,
): { rlimits: RuntimeRlimit[]; warnings: string[] } => {
  const warnings: string[] = [];
  const rlimits = ulimits.map((ulimit): RuntimeRlimit => {
    const ceiling = hardLimit(ulimit.Name);
    const clamp = (value: number): bigint => {
      const wanted = value < 0 ? UNLIMITED : BigInt(value);
      return wanted > ceiling ? ceiling : wanted;
    };
    const soft = clamp(ulimit.Soft);
    const hard = clamp(ulimit.Hard);
    if (ulimit.Hard >= 0 && hard !== BigInt(ulimit.Hard)) {
      warnings.push(
        `ulimit "${ulimit.Name}" was lowered to ${hard}: this host does not let naru raise it to ${ulimit.Hard}`,
      );
    }
    return {
      type: `RLIMIT_${ulimit.Name.toUpperCase()}`,
      soft: uint64(soft),
      hard: uint64(hard),
    };
  });
  return { rlimits, warnings };
};

/** Of what a runtime sets a container up with: descriptors, and the size of what it writes. */
const SETUP_NEEDS: Readonly<Record<string, number>> = { RLIMIT_NOFILE: 256, RLIMIT_FSIZE: 2 ** 20 };

/**
 * A runtime limits itself, and goes on with the set-up then: what leaves too little for that is no part of its
 * config, but set from outside when the process waits to be let go.
 */
export const isSetLate = ({ type, soft }: RuntimeRlimit): boolean =>
  fromUint64(soft) < BigInt(SETUP_NEEDS[type] ?? 0);

const ULIMIT_NAMES = new Set([
  "core",
  "cpu",
  "data",
  "fsize",
  "locks",
  "memlock",
  "msgqueue",
  "nice",
  "nofile",
  "nproc",
  "rss",
  "rtprio",
  "rttime",
  "sigpending",
  "stack",
]);

export const validateUlimits = (ulimits: readonly Ulimit[]): void => {
  for (const ulimit of ulimits) {
    if (!ULIMIT_NAMES.has(ulimit.Name)) {
      throw new NaruError("invalid_argument", `invalid ulimit type: ${ulimit.Name}`);
    }
    if (ulimit.Hard !== -1 && (ulimit.Soft > ulimit.Hard || ulimit.Soft === -1)) {
      throw new NaruError(
        "invalid_argument",
        `ulimit soft limit must be less than or equal to hard limit: ${ulimit.Soft} > ${ulimit.Hard}`,
      );
    }
  }
};

/**
 * What a container's processes need to be told; undefined where they inherit the right value. Raising
 * is always allowed; lowering takes CAP_SYS_RESOURCE, so it is tried only where it was asked for
 * (proc_pid_oom_score_adj(5)).
 */
export const processOomScoreAdj = (wanted: number, inherited: number): number | undefined =>
  wanted === inherited || (wanted === 0 && inherited > 0) ? undefined : wanted;
