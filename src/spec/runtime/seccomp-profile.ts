/**
 * Seccomp profiles as JSON: Docker's profile file (archMap, rules that depend on capabilities,
 * architecture and kernel) and the `linux.seccomp` object of the OCI runtime specification
 * (config-linux.md, "Seccomp"). The second is a part of the first, so one shape holds both.
 */
export const SECCOMP_ACTIONS = [
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_LOG",
  "SCMP_ACT_NOTIFY",
] as const;
export type SeccompAction = (typeof SECCOMP_ACTIONS)[number];

export const SECCOMP_OPERATORS = [
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
] as const;
export type SeccompOperator = (typeof SECCOMP_OPERATORS)[number];

export const SECCOMP_FLAGS = [
  "SECCOMP_FILTER_FLAG_TSYNC",
  "SECCOMP_FILTER_FLAG_LOG",
  "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
  "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
] as const;
export type SeccompFlag = (typeof SECCOMP_FLAGS)[number];

export const SECCOMP_ARCHITECTURES = [
  "SCMP_ARCH_X86",
  "SCMP_ARCH_X86_64",
  "SCMP_ARCH_X32",
  "SCMP_ARCH_ARM",
  "SCMP_ARCH_AARCH64",
  "SCMP_ARCH_MIPS",
  "SCMP_ARCH_MIPS64",
  "SCMP_ARCH_MIPS64N32",
  "SCMP_ARCH_MIPSEL",
  "SCMP_ARCH_MIPSEL64",
  "SCMP_ARCH_MIPSEL64N32",
  "SCMP_ARCH_PPC",
  "SCMP_ARCH_PPC64",
  "SCMP_ARCH_PPC64LE",
  "SCMP_ARCH_S390",
  "SCMP_ARCH_S390X",
  "SCMP_ARCH_PARISC",
  "SCMP_ARCH_PARISC64",
  "SCMP_ARCH_RISCV64",
  "SCMP_ARCH_LOONGARCH64",
  "SCMP_ARCH_M68K",
  "SCMP_ARCH_SH",
  "SCMP_ARCH_SHEB",
] as const;
export type SeccompArchitecture = (typeof SECCOMP_ARCHITECTURES)[number];

/** A condition on one argument. MASKED_EQ: `(argument & value) == valueTwo`. */
export interface SeccompArg {
  /** Which argument, 0 to 5. */
  readonly index: number;
  /** Unsigned, 64 bits. */
  readonly value: bigint;
  readonly valueTwo: bigint;
  readonly op: SeccompOperator;
}

/** When a rule counts. Empty lists and an absent kernel say nothing. */
export interface SeccompFilter {
  /** Names with "CAP_". Of `includes` all must be held, of `excludes` any one excludes. */
  readonly caps: readonly string[];
  /** Docker's words: "amd64", "arm64", "x86" … */
  readonly arches: readonly string[];
  readonly minKernel?: KernelVersion;
}

export type KernelVersion = readonly [kernel: number, major: number];

/** What to do when one of the calls is made and all conditions hold. */
export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: SeccompAction;
  /** For ERRNO and TRACE; EPERM when absent. */
  readonly errnoRet?: number;
  readonly args: readonly SeccompArg[];
  readonly includes?: SeccompFilter;
  readonly excludes?: SeccompFilter;
}

export interface SeccompArchMapEntry {
  readonly architecture: SeccompArchitecture;
  readonly subArchitectures: readonly SeccompArchitecture[];
}

export interface SeccompProfile {
  readonly defaultAction: SeccompAction;
  readonly defaultErrnoRet?: number;
  /** Only one of `architectures` and `archMap` is not empty. */
  readonly architectures: readonly SeccompArchitecture[];
  readonly archMap: readonly SeccompArchMapEntry[];
  /** Absent is not empty: without the field runtimes set SPEC_ALLOW, with `[]` nothing. */
  readonly flags?: readonly SeccompFlag[];
  readonly listenerPath?: string;
  readonly listenerMetadata?: string;
  readonly syscalls: readonly SeccompRule[];
}

/** The container and the machine a profile is made for. */
export interface SeccompTarget {
  /** The bounding set, full names ("CAP_CHOWN"). */
  readonly capabilities: readonly string[];
  readonly arch: "x86_64" | "aarch64";
  /** The first two numbers of the running kernel's release. */
  readonly kernel: KernelVersion;
}
