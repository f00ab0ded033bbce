/**
 * A profile as one table per ABI: which verdict for which number under which conditions. This is
 * where a profile's meaning is settled; the compiler only turns tables into jumps.
 *
 * The meaning is that of libseccomp as runc and crun drive it, so that a profile does the same
 * here as elsewhere:
 * - a rule whose action is the default action says nothing and is skipped;
 * - the first rule without conditions for a call decides it, and conditional rules for the same
 *   call, earlier or later, count no more;
 * - otherwise any rule whose conditions all hold gives its verdict (the first in the profile);
 * - two conditions on the same argument in one rule are alternatives, not both required;
 * - on 32-bit ABIs (x32 too) conditions see the low 32 bits of an argument;
 * - on 32-bit x86 a rule for a socket or IPC call also governs its way through `socketcall(2)` or
 *   `ipc(2)`, where a condition on the first argument gives way to the number of the call;
 * - numbers above the largest the profile names were invented after it: they get ENOSYS, so that
 *   programs fall back to older calls, unless the default lets calls through (runc's addition).
 */
import { NaruError } from "#lib/errors.ts";
import { selectAbis, selectRules } from "#spec/runtime/seccomp-oci.ts";
import type {
  SeccompAction,
  SeccompArg,
  SeccompProfile,
  SeccompTarget,
} from "#spec/runtime/seccomp-profile.ts";
import {
  ABI_BITS,
  MULTIPLEXED_CALLS,
  type SyscallAbi,
  syscallNumber,
} from "#spec/runtime/seccomp-syscalls.ts";

/** Conditions that must all hold for a verdict. */
export interface ConditionalVerdict {
  readonly conditions: readonly SeccompArg[];
  readonly verdict: number;
}

/** What a filter does for one call: a plain verdict, or the first alternative that holds. */
export type CallRule = number | readonly ConditionalVerdict[];

export interface AbiRules {
  readonly abi: SyscallAbi;
  readonly calls: ReadonlyMap<number, CallRule>;
  /** The largest number the profile names here; undefined when it names none. */
  readonly largest: number | undefined;
}

export interface SeccompRules {
  readonly abis: readonly AbiRules[];
  /** For calls without a rule, and where no alternative holds. */
  readonly otherwise: number;
  /** For numbers above the largest known. */
  readonly newer: number;
}

const EPERM = 1;
const ENOSYS = 38;

const RET_KILL_PROCESS = 0x80000000;
/** Also what libseccomp does to ABIs that a filter was not made for. */
export const RET_KILL_THREAD = 0;
const RET_TRAP = 0x00030000;
const RET_ERRNO = 0x00050000;
const RET_TRACE = 0x7ff00000;
const RET_LOG = 0x7ffc0000;
const RET_ALLOW = 0x7fff0000;

const verdictOf = (action: SeccompAction, errno: number): number => {
  switch (action) {
    case "SCMP_ACT_KILL":
    case "SCMP_ACT_KILL_THREAD":
      return RET_KILL_THREAD;
    case "SCMP_ACT_KILL_PROCESS":
      return RET_KILL_PROCESS;
    case "SCMP_ACT_TRAP":
      return RET_TRAP;
    case "SCMP_ACT_ERRNO":
      return RET_ERRNO + errno;
    case "SCMP_ACT_TRACE":
      return RET_TRACE + errno;
    case "SCMP_ACT_LOG":
      return RET_LOG;
    case "SCMP_ACT_ALLOW":
      return RET_ALLOW;
    case "SCMP_ACT_NOTIFY":
      throw new NaruError(
        "not_implemented",
        'seccomp action "SCMP_ACT_NOTIFY" cannot be precompiled: it needs a listener, so the OCI ' +
          "runtime has to build this filter itself",
        { details: { action } },
      );
  }
};

const isPermissive = (action: SeccompAction): boolean =>
  action === "SCMP_ACT_ALLOW" || action === "SCMP_ACT_LOG" || action === "SCMP_ACT_TRACE";

/** A condition as an ABI of that width sees it; undefined when it always holds. */
const narrow = (arg: SeccompArg, bits: 32 | 64): SeccompArg | undefined => {
  const value = BigInt.asUintN(bits, arg.value);
  const valueTwo = BigInt.asUintN(bits, arg.valueTwo);
  if (arg.op !== "SCMP_CMP_MASKED_EQ") return { ...arg, value, valueTwo };
  return value === 0n ? undefined : { ...arg, value, valueTwo: valueTwo & value };
};

/** The alternatives a rule's conditions stand for: one, or one each when an argument repeats. */
const alternativesOf = (args: readonly SeccompArg[]): (readonly SeccompArg[])[] => {
  const isRepeated = new Set(args.map((arg) => arg.index)).size < args.length;
  return isRepeated ? args.map((arg) => [arg]) : [args];
};

const throughMultiplexer = (args: readonly SeccompArg[], call: number): SeccompArg[] => [
  { index: 0, op: "SCMP_CMP_EQ", value: BigInt(call), valueTwo: 0n },
  ...args.filter((arg) => arg.index !== 0),
];

interface DecidedRule {
  readonly names: readonly string[];
  readonly args: readonly SeccompArg[];
  readonly verdict: number;
}

/** Adds a rule's alternatives for one number, unless an earlier rule has decided it. */
const addRule = (
  calls: Map<number, CallRule>,
  number: number,
  alternatives: readonly (readonly SeccompArg[])[],
  verdict: number,
): void => {
  const known = calls.get(number);
  if (typeof known === "number") return;
  const isPlain = alternatives.some((conditions) => conditions.length === 0);
  if (isPlain) calls.set(number, verdict);
  else {
    const added = alternatives.map((conditions) => ({ conditions, verdict }));
    calls.set(number, known === undefined ? added : [...known, ...added]);
  }
};

const tableOf = (abi: SyscallAbi, rules: readonly DecidedRule[], otherwise: number): AbiRules => {
  const calls = new Map<number, CallRule>();
  const narrowed = (args: readonly SeccompArg[]): SeccompArg[] =>
    args.flatMap((arg) => narrow(arg, ABI_BITS[abi]) ?? []);
  let largest: number | undefined;
  for (const { names, args, verdict } of rules) {
    const alternatives = alternativesOf(args);
    const conditions = alternatives.map(narrowed);
    for (const name of names) {
      const number = syscallNumber(abi, name);
      if (number !== undefined && number > (largest ?? 0)) largest = number;
      if (verdict === otherwise) continue;
      const multiplexed = abi === "x86" ? MULTIPLEXED_CALLS.get(name) : undefined;
      if (multiplexed !== undefined) {
        const through = syscallNumber(abi, multiplexed.through) ?? 0;
        const asArgument = alternatives.map((all) =>
          narrowed(throughMultiplexer(all, multiplexed.call)),
        );
        addRule(calls, through, asArgument, verdict);
      }
      if (number !== undefined) addRule(calls, number, conditions, verdict);
    }
  }
  return { abi, calls, largest };
};

/**
 * What a profile says for this container on this machine. Names unknown on an ABI are skipped there.
 * @throws NaruError not_implemented for SCMP_ACT_NOTIFY.
 */
export const seccompRules = (profile: SeccompProfile, target: SeccompTarget): SeccompRules => {
  const otherwise = verdictOf(profile.defaultAction, profile.defaultErrnoRet ?? EPERM);
  const rules = selectRules(profile, target).map(({ names, args, action, errnoRet }) => ({
    names,
    args,
    verdict: verdictOf(action, errnoRet ?? EPERM),
  }));
  return {
    abis: selectAbis(profile, target.arch).map((abi) => tableOf(abi, rules, otherwise)),
    otherwise,
    newer: isPermissive(profile.defaultAction) ? otherwise : RET_ERRNO + ENOSYS,
  };
};
