/**
 * A profile for one container on one machine: conditions on capabilities, architecture and kernel
 * are decided, what is left is the `linux.seccomp` object of the OCI runtime specification
 * (config-linux.md, "Seccomp").
 */
import type {
  SeccompAction,
  SeccompArchitecture,
  SeccompFilter,
  SeccompFlag,
  SeccompOperator,
  SeccompProfile,
  SeccompRule,
  SeccompTarget,
} from "#spec/runtime/seccomp-profile.ts";
import type { SyscallAbi } from "#spec/runtime/seccomp-syscalls.ts";

export interface OciSeccompArg {
  readonly index: number;
  /** A number in JSON; beyond 2^53 an opaque value that `JSON.stringify` writes with all digits. */
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: SeccompOperator;
}

export interface OciSeccompSyscall {
  readonly names: readonly string[];
  readonly action: SeccompAction;
  readonly errnoRet?: number;
  readonly args?: readonly OciSeccompArg[];
}

export interface OciSeccomp {
  readonly defaultAction: SeccompAction;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly SeccompArchitecture[];
  readonly flags?: readonly SeccompFlag[];
  readonly listenerPath?: string;
  readonly listenerMetadata?: string;
  readonly syscalls?: readonly OciSeccompSyscall[];
}

type Arch = SeccompTarget["arch"];

/** The word a profile's `includes.arches` uses for the machine. */
const ARCH_WORD: Readonly<Record<Arch, string>> = { x86_64: "amd64", aarch64: "arm64" };

const NATIVE: Readonly<Record<Arch, SeccompArchitecture>> = {
  x86_64: "SCMP_ARCH_X86_64",
  aarch64: "SCMP_ARCH_AARCH64",
};

/** What each machine can run beside its native ABI. */
const ABI_OF: Readonly<Record<Arch, Partial<Record<SeccompArchitecture, SyscallAbi>>>> = {
  x86_64: { SCMP_ARCH_X86_64: "x86_64", SCMP_ARCH_X86: "x86", SCMP_ARCH_X32: "x32" },
  aarch64: { SCMP_ARCH_AARCH64: "aarch64", SCMP_ARCH_ARM: "arm" },
};

const isKernelAtLeast = (target: SeccompTarget, [kernel, major]: readonly [number, number]) =>
  target.kernel[0] > kernel || (target.kernel[0] === kernel && target.kernel[1] >= major);

const isIncluded = (filter: SeccompFilter, target: SeccompTarget): boolean =>
  (filter.arches.length === 0 || filter.arches.includes(ARCH_WORD[target.arch])) &&
  filter.caps.every((name) => target.capabilities.includes(name)) &&
  (filter.minKernel === undefined || isKernelAtLeast(target, filter.minKernel));

const isExcluded = (filter: SeccompFilter, target: SeccompTarget): boolean =>
  filter.arches.includes(ARCH_WORD[target.arch]) ||
  filter.caps.some((name) => target.capabilities.includes(name)) ||
  (filter.minKernel !== undefined && isKernelAtLeast(target, filter.minKernel));

/** The rules that count for this container on this machine, in the profile's order. */
export const selectRules = (profile: SeccompProfile, target: SeccompTarget): SeccompRule[] =>
  profile.syscalls.filter(
    (rule) =>
      (rule.includes === undefined || isIncluded(rule.includes, target)) &&
      (rule.excludes === undefined || !isExcluded(rule.excludes, target)),
  );

const selectArchitectures = (profile: SeccompProfile, arch: Arch): SeccompArchitecture[] => {
  const entry = profile.archMap.find((candidate) => candidate.architecture === NATIVE[arch]);
  return entry === undefined
    ? [...profile.architectures]
    : [entry.architecture, ...entry.subArchitectures];
};

/**
 * The ABIs a filter answers for: the native one always (runtimes add it too), and those of the
 * profile that this machine can run. The rest never reaches the filter here.
 */
export const selectAbis = (profile: SeccompProfile, arch: Arch): SyscallAbi[] => {
  const wanted = new Set([NATIVE[arch], ...selectArchitectures(profile, arch)]);
  return [...wanted].flatMap((name) => ABI_OF[arch][name] ?? []);
};

/** `JSON.rawJSON` (ES2026) keeps all digits of a number that a double cannot hold. */
const jsonNumber = (value: bigint): number => {
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => number };
  return rawJSON(String(value));
};

const takesErrno = (action: SeccompAction): boolean =>
  action === "SCMP_ACT_ERRNO" || action === "SCMP_ACT_TRACE";

const ociSyscall = (rule: SeccompRule): OciSeccompSyscall => ({
  names: rule.names,
  action: rule.action,
  // crun refuses an errno beside an action that has none.
  ...(rule.errnoRet !== undefined && takesErrno(rule.action) ? { errnoRet: rule.errnoRet } : {}),
  ...(rule.args.length === 0
    ? {}
    : {
        args: rule.args.map((arg) => ({
          index: arg.index,
          value: jsonNumber(arg.value),
          ...(arg.op === "SCMP_CMP_MASKED_EQ" ? { valueTwo: jsonNumber(arg.valueTwo) } : {}),
          op: arg.op,
        })),
      }),
});

/** The `linux.seccomp` object for a runtime that compiles filters itself (runc). Pure. */
export const toOciSeccomp = (profile: SeccompProfile, target: SeccompTarget): OciSeccomp => {
  const architectures = selectArchitectures(profile, target.arch);
  const syscalls = selectRules(profile, target).filter((rule) => rule.names.length > 0);
  const hasErrno = profile.defaultErrnoRet !== undefined && takesErrno(profile.defaultAction);
  return {
    defaultAction: profile.defaultAction,
    ...(hasErrno ? { defaultErrnoRet: profile.defaultErrnoRet } : {}),
    ...(architectures.length === 0 ? {} : { architectures }),
    ...(profile.flags === undefined ? {} : { flags: profile.flags }),
    ...(profile.listenerPath === undefined ? {} : { listenerPath: profile.listenerPath }),
    ...(profile.listenerMetadata === undefined
      ? {}
      : { listenerMetadata: profile.listenerMetadata }),
    ...(syscalls.length === 0 ? {} : { syscalls: syscalls.map(ociSyscall) }),
  };
};
