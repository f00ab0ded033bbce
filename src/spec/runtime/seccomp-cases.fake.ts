/**
 * For the filter's tests: profiles to try, calls to try them with, and the meaning of a profile
 * written down a second time, by walking its rules for one call.
 */
import { CAPABILITIES, DEFAULT_CAPABILITIES } from "#spec/runtime/capabilities.ts";
import { DEFAULT_SECCOMP_PROFILE } from "#spec/runtime/seccomp-default.ts";
import {
  SECCOMP_OPERATORS,
  type SeccompArg,
  type SeccompOperator,
  type SeccompProfile,
  type SeccompRule,
  type SeccompTarget,
} from "#spec/runtime/seccomp-profile.ts";
import {
  ABI_BITS,
  AUDIT_ARCH,
  MULTIPLEXED_CALLS,
  type SyscallAbi,
  syscallNames,
  syscallNumber,
  X32_BIT,
} from "#spec/runtime/seccomp-syscalls.ts";

export interface SampleCall {
  readonly abi: SyscallAbi;
  readonly nr: number;
  readonly args: readonly bigint[];
}

type Random = (below: number) => number;

/** Numbers from a seed: the same on every run. */
const seededNumbers = (seed: number): Random => {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * below);
  };
};

const ABIS: Readonly<Record<SeccompTarget["arch"], readonly SyscallAbi[]>> = {
  x86_64: ["x86_64", "x86", "x32"],
  aarch64: ["aarch64", "arm"],
};

/** Values next to those a profile compares with, in either half, and the extremes. */
const interestingValues = (profile: SeccompProfile): bigint[] => {
  const values = new Set([0n, 1n, 2n, 0xffffffffn, 0x100000000n, (1n << 64n) - 1n]);
  for (const arg of profile.syscalls.flatMap((rule) => rule.args)) {
    for (const base of [arg.value, arg.valueTwo, arg.value & arg.valueTwo, ~arg.value]) {
      for (const near of [base - 1n, base, base + 1n, base + 0x100000000n, base ^ 0x80000000n]) {
        values.add(BigInt.asUintN(64, near));
      }
    }
  }
  return [...values];
};

/** Every number an ABI has or may get, and numbers no ABI has. */
const numbersOf = (abi: SyscallAbi): number[] => {
  const marker = abi === "x32" ? X32_BIT : 0;
  const dense = Array.from({ length: 620 }, (_, number) => number + marker);
  const known = syscallNames().flatMap((name) => syscallNumber(abi, name) ?? []);
  const odd = [0xf0001, 0xf0007, 0x3fffffff, 0x7fffffff, 0x80000000, 0xc0000000, 0xffffffff];
  return [...new Set([...dense, ...known, ...(abi === "x32" ? [] : odd)])];
};

/** All numbers of all ABIs; where the profile has conditions, many arguments. */
export function* sampleCalls(
  profile: SeccompProfile,
  arch: SeccompTarget["arch"],
  seed: number,
): Generator<SampleCall> {
  const random = seededNumbers(seed);
  const values = interestingValues(profile);
  const value = (): bigint => values[random(values.length)] ?? 0n;
  const conditional = new Set(
    profile.syscalls.filter((rule) => rule.args.length > 0).flatMap((rule) => rule.names),
  );
  for (const abi of ABIS[arch]) {
    const watched = new Set(
      [...conditional, "socketcall", "ipc"].flatMap((name) => syscallNumber(abi, name) ?? []),
    );
    for (const nr of numbersOf(abi)) {
      const rounds = watched.has(nr) ? 60 : 1;
      for (let round = 0; round < rounds; round++) {
        const args = Array.from({ length: 6 }, value);
        if (watched.has(nr) && round % 2 === 0) args[0] = BigInt(random(25));
        yield { abi, nr, args: ABI_BITS[abi] === 64 || abi === "x32" ? args : args.map(low32) };
      }
    }
  }
}

const low32 = (value: bigint): bigint => value & 0xffffffffn;

/** A condition on an argument, in the words of seccomp_rule_add(3). */
const holds = (arg: SeccompArg, args: readonly bigint[], bits: number): boolean => {
  const cut = (value: bigint): bigint => BigInt.asUintN(bits, value);
  const actual = cut(args[arg.index] ?? 0n);
  const value = cut(arg.value);
  switch (arg.op) {
    case "SCMP_CMP_EQ":
      return actual === value;
    case "SCMP_CMP_NE":
      return actual !== value;
    case "SCMP_CMP_LT":
      return actual < value;
    case "SCMP_CMP_LE":
      return actual <= value;
    case "SCMP_CMP_GE":
      return actual >= value;
    case "SCMP_CMP_GT":
      return actual > value;
    case "SCMP_CMP_MASKED_EQ":
      return (actual & value) === (cut(arg.valueTwo) & value);
  }
};

const VERDICTS: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: 0,
  SCMP_ACT_KILL_THREAD: 0,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x30000,
  SCMP_ACT_ERRNO: 0x50000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
};

const verdictOf = (action: string, errno = 1): number =>
  (VERDICTS[action] ?? 0) + (/ERRNO|TRACE/.test(action) ? errno : 0);

interface Clause {
  readonly name: string;
  readonly args: readonly SeccompArg[];
  readonly verdict: number;
}

/** A profile's rules for one ABI as single clauses, multiplexers and repeated arguments resolved. */
const clausesOf = (rules: readonly SeccompRule[], abi: SyscallAbi): Clause[] => {
  const clauses: Clause[] = [];
  for (const rule of rules) {
    const verdict = verdictOf(rule.action, rule.errnoRet);
    const indexes = rule.args.map((arg) => arg.index);
    const isRepeated = indexes.some((index, at) => indexes.indexOf(index) !== at);
    for (const name of rule.names) {
      for (const args of isRepeated ? rule.args.map((arg) => [arg]) : [rule.args]) {
        const multiplexed = MULTIPLEXED_CALLS.get(name);
        if (abi === "x86" && multiplexed !== undefined) {
          const call: SeccompArg = {
            index: 0,
            op: "SCMP_CMP_EQ",
            value: BigInt(multiplexed.call),
            valueTwo: 0n,
          };
          const others = args.filter((arg) => arg.index !== 0);
          clauses.push({ name: multiplexed.through, args: [call, ...others], verdict });
        }
        clauses.push({ name, args, verdict });
      }
    }
  }
  return clauses;
};

/** What a profile means, for many calls. `isNewerEnosys`: with runc's rule for unknown numbers. */
export const evaluator = (
  profile: SeccompProfile,
  rules: readonly SeccompRule[],
  isNewerEnosys: boolean,
): ((call: SampleCall) => number) => {
  const otherwise = verdictOf(profile.defaultAction, profile.defaultErrnoRet);
  const isStrict = !/ALLOW|LOG|TRACE/.test(profile.defaultAction);
  const cache = new Map<SyscallAbi, { clauses: Map<number, Clause[]>; largest: number }>();
  const tableOf = (abi: SyscallAbi): { clauses: Map<number, Clause[]>; largest: number } => {
    const clauses = new Map<number, Clause[]>();
    for (const clause of clausesOf(rules, abi)) {
      const nr = syscallNumber(abi, clause.name);
      if (nr !== undefined) clauses.set(nr, [...(clauses.get(nr) ?? []), clause]);
    }
    const numbers = rules
      .flatMap((rule) => rule.names)
      .map((name) => syscallNumber(abi, name) ?? 0);
    const table = { clauses, largest: Math.max(0, ...numbers) };
    cache.set(abi, table);
    return table;
  };
  return ({ abi, nr, args }) => {
    const isX32 = abi === "x86_64" && (nr & X32_BIT) !== 0;
    const actualAbi = isX32 ? "x32" : abi;
    const { clauses, largest } = cache.get(actualAbi) ?? tableOf(actualAbi);
    if (isNewerEnosys && isStrict && largest > 0 && nr > largest)
      return verdictOf("SCMP_ACT_ERRNO", 38);
    const bits = ABI_BITS[actualAbi];
    const candidates = (clauses.get(nr) ?? []).filter((clause) => clause.verdict !== otherwise);
    const isTrivial = (arg: SeccompArg): boolean =>
      arg.op === "SCMP_CMP_MASKED_EQ" && BigInt.asUintN(bits, arg.value) === 0n;
    const plain = candidates.find((clause) => clause.args.every(isTrivial));
    const matching = candidates.find((clause) =>
      clause.args.every((arg) => holds(arg, args, bits)),
    );
    return (plain ?? matching)?.verdict ?? otherwise;
  };
};

export const auditArch = (abi: SyscallAbi): number => AUDIT_ARCH[abi];

const KERNEL = [6, 1] as const;

/** The default profile for different containers. */
export const defaultTargets: readonly SeccompTarget[] = (["x86_64", "aarch64"] as const).flatMap(
  (arch) => [
    { arch, kernel: KERNEL, capabilities: DEFAULT_CAPABILITIES },
    { arch, kernel: KERNEL, capabilities: [] },
    { arch, kernel: [4, 4] as const, capabilities: ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE"] },
    { arch, kernel: KERNEL, capabilities: CAPABILITIES },
  ],
);

const pick = <T>(random: Random, items: readonly T[]): T => {
  const item = items[random(items.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
};

const VALUES = [0n, 1n, 5n, 38n, 0x20000n, 0x7e020000n, 0xfffffffen, 0x100000005n, 0xabcdn << 40n];

/** Calls on every ABI, some behind multiplexers. */
const NAMES = [
  "clone",
  "socket",
  "ioctl",
  "personality",
  "fcntl",
  "mmap",
  "msgget",
  "recvmsg",
  "io_setup",
];

/** What random profiles may contain. */
export interface RandomLimits {
  /** Only one action beside the default, so that no order among rules matters. */
  readonly isOneAction?: boolean;
  readonly operators?: readonly SeccompOperator[];
  /** All conditions on this argument. */
  readonly argument?: number;
  /** At most one conditional rule for each call. */
  readonly isOneRuleEach?: boolean;
}

const randomArg = (
  random: Random,
  index: number,
  operators: readonly SeccompOperator[],
): SeccompArg => ({
  index,
  op: pick(random, operators),
  value: pick(random, VALUES),
  valueTwo: pick(random, VALUES),
});

/** A profile by chance: conditions of all kinds on a few calls, and plain rules. */
export const randomProfile = (seed: number, limits: RandomLimits = {}): SeccompProfile => {
  const random = seededNumbers(seed);
  const all = syscallNames();
  const { isOneAction = false, operators = SECCOMP_OPERATORS, argument } = limits;
  const action = pick(random, ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRAP"] as const);
  const conditional = [...NAMES];
  const rule = (): SeccompRule => {
    const isPlain = random(5) === 0 || conditional.length === 0;
    const some = [0, 1, 2, 3, 4, 5].filter(() => random(4) === 0);
    const indexes = some.length === 0 ? [random(6)] : some;
    const name = pick(random, isPlain ? all : conditional);
    if (!isPlain && limits.isOneRuleEach === true) conditional.splice(conditional.indexOf(name), 1);
    return {
      names: isPlain ? [name, pick(random, all), "read"] : [name],
      action: isOneAction || random(2) === 0 ? action : "SCMP_ACT_ERRNO",
      ...(isOneAction || random(2) === 0 ? {} : { errnoRet: random(200) + 2 }),
      args: isPlain
        ? []
        : (argument === undefined ? indexes : [argument]).map((index) =>
            randomArg(random, index, operators),
          ),
    };
  };
  return {
    defaultAction: pick(random, ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRACE"]),
    architectures: [],
    archMap: random(4) === 0 ? [] : DEFAULT_SECCOMP_PROFILE.archMap,
    syscalls: Array.from({ length: 3 + random(25) }, rule),
  };
};
