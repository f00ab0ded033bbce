/**
 * A seccomp profile as a classic BPF program, so that no OCI runtime has to translate it at every
 * start. One balanced tree of comparisons per architecture: a dozen steps for any call.
 */
import { NaruError } from "#lib/errors.ts";
import {
  BPF,
  BpfAssembler,
  type JumpTarget,
  MAX_INSTRUCTIONS,
  returnTarget,
} from "#spec/runtime/seccomp-assembler.ts";
import type { SeccompArg, SeccompProfile, SeccompTarget } from "#spec/runtime/seccomp-profile.ts";
import {
  type AbiRules,
  type CallRule,
  RET_KILL_THREAD,
  seccompRules,
  type SeccompRules,
} from "#spec/runtime/seccomp-rules.ts";
import { ABI_BITS, AUDIT_ARCH, X32_BIT } from "#spec/runtime/seccomp-syscalls.ts";

/** Offsets in `struct seccomp_data`, little endian: number, architecture, arguments low and high. */
const NUMBER = 0;
const ARCHITECTURE = 4;
const argLow = (index: number): number => 16 + index * 8;
const argHigh = (index: number): number => argLow(index) + 4;

const low = (value: bigint): number => Number(BigInt.asUintN(32, value));
const high = (value: bigint): number => Number(BigInt.asUintN(32, value >> 32n));

/** Numbers from `start` up to the next segment's start are treated alike. */
interface Segment {
  readonly start: number;
  readonly rule: CallRule;
}

const NUMBERS_END = 0x1_0000_0000;
/** How a tracer marks a call to be skipped; the filter sees it after the tracer. */
const SKIPPED_CALL = 0xffffffff;

/** One ABI's verdicts over the numbers from `start` to `end` (exclusive), holes filled. */
const segmentsOf = (
  { calls, largest }: AbiRules,
  { otherwise, newer }: SeccompRules,
  start: number,
  end: number,
): Segment[] => {
  const segments: Segment[] = [];
  let at = start;
  let last: CallRule | undefined;
  const begin = (number: number, rule: CallRule): void => {
    if (rule !== last) segments.push({ start: number, rule });
    last = rule;
  };
  for (const number of Uint32Array.from(calls.keys()).sort()) {
    if (number > at) begin(at, otherwise);
    begin(number, calls.get(number) ?? otherwise);
    at = number + 1;
  }
  const newerFrom = largest === undefined ? end : largest + 1;
  if (at < newerFrom) begin(at, otherwise);
  if (newerFrom < end) begin(newerFrom, newer);
  return segments;
};

/**
 * What x86_64 does with numbers that are marked as x32 when the profile does not cover x32: as an
 * unknown architecture, but for the number of a skipped call.
 */
const withoutX32 = ({ otherwise, newer }: SeccompRules, hasCalls: boolean): Segment[] => [
  { start: X32_BIT, rule: RET_KILL_THREAD },
  // The marker bit is clear here: simply numbers too large.
  { start: 2 * X32_BIT, rule: hasCalls ? newer : RET_KILL_THREAD },
  { start: 3 * X32_BIT, rule: RET_KILL_THREAD },
  { start: SKIPPED_CALL, rule: otherwise },
];

const coalesce = (segments: readonly Segment[]): Segment[] =>
  segments.filter((segment, index) => index === 0 || segment.rule !== segments[index - 1]?.rule);

/** The segments of one `seccomp_data.arch`, which x86_64 and x32 share. */
const segmentsOfArchitecture = (rules: SeccompRules, abis: readonly AbiRules[]): Segment[] => {
  const segments = abis.flatMap((entry) => {
    if (entry.abi === "x32") return segmentsOf(entry, rules, X32_BIT, NUMBERS_END);
    if (entry.abi !== "x86_64") return segmentsOf(entry, rules, 0, NUMBERS_END);
    const own = segmentsOf(entry, rules, 0, X32_BIT);
    const hasX32 = abis.some((other) => other.abi === "x32");
    return hasX32 ? own : [...own, ...withoutX32(rules, entry.largest !== undefined)];
  });
  return coalesce(segments.toSorted((a, b) => a.start - b.start));
};

/** Code that goes to `yes` when the condition holds and to `no` when not. */
const compareArg = (
  program: BpfAssembler,
  { index, op, value, valueTwo }: SeccompArg,
  bits: 32 | 64,
  yes: JumpTarget,
  no: JumpTarget,
): JumpTarget => {
  const code = op === "SCMP_CMP_GE" || op === "SCMP_CMP_LT" ? BPF.JGE : BPF.JGT;
  switch (op) {
    case "SCMP_CMP_NE":
    case "SCMP_CMP_LT":
    case "SCMP_CMP_LE": {
      const opposite = { SCMP_CMP_NE: "EQ", SCMP_CMP_LT: "GE", SCMP_CMP_LE: "GT" }[op];
      const positive = { index, op: `SCMP_CMP_${opposite}`, value, valueTwo } as SeccompArg;
      return compareArg(program, positive, bits, no, yes);
    }
    case "SCMP_CMP_EQ": {
      const last = program.branch(BPF.JEQ, low(value), yes, no);
      const second = program.load(argLow(index), last);
      if (bits === 32) return second;
      return program.load(argHigh(index), program.branch(BPF.JEQ, high(value), second, no));
    }
    case "SCMP_CMP_MASKED_EQ": {
      const half = (offset: number, mask: number, wanted: number, then: JumpTarget): JumpTarget =>
        mask === 0
          ? then
          : program.load(offset, program.and(mask, program.branch(BPF.JEQ, wanted, then, no)));
      const second = half(argLow(index), low(value), low(valueTwo), yes);
      if (bits === 32) return second;
      return half(argHigh(index), high(value), high(valueTwo), second);
    }
    case "SCMP_CMP_GE":
    case "SCMP_CMP_GT": {
      const last = program.load(argLow(index), program.branch(code, low(value), yes, no));
      if (bits === 32) return last;
      const equal = program.branch(BPF.JEQ, high(value), last, no);
      return program.load(argHigh(index), program.branch(BPF.JGT, high(value), yes, equal));
    }
  }
};

/** The verdict for one call; alternatives are asked in order. */
const emitRule = (
  program: BpfAssembler,
  rule: CallRule,
  bits: 32 | 64,
  otherwise: number,
): JumpTarget => {
  if (typeof rule === "number") return returnTarget(rule);
  return rule
    .toReversed()
    .reduce<JumpTarget>(
      (next, { conditions, verdict }) =>
        conditions
          .toReversed()
          .reduce(
            (holds, condition) => compareArg(program, condition, bits, holds, next),
            returnTarget(verdict),
          ),
      returnTarget(otherwise),
    );
};

/** Finds the segment of the number in the accumulator by halving. */
const emitTree = (
  program: BpfAssembler,
  segments: readonly Segment[],
  leaf: (segment: Segment) => JumpTarget,
): JumpTarget => {
  const [first, second, third] = segments;
  if (first === undefined) throw new Error("a tree needs a segment");
  if (second === undefined) return leaf(first);
  const isLoneNumber =
    segments.length === 3 &&
    first.rule === third?.rule &&
    typeof first.rule === "number" &&
    third.start === second.start + 1;
  if (isLoneNumber) return program.branch(BPF.JEQ, second.start, leaf(second), leaf(first));
  const middle = segments.length >> 1;
  const above = emitTree(program, segments.slice(middle), leaf);
  const below = emitTree(program, segments.slice(0, middle), leaf);
  return program.branch(BPF.JGE, segments[middle]?.start ?? 0, above, below);
};

/**
 * The program for `seccomp(SECCOMP_SET_MODE_FILTER)`: `struct sock_filter[]`, little endian. Pure and
 * deterministic: the same profile and target give the same bytes. A foreign architecture's calls
 * kill the thread.
 * @throws NaruError not_implemented for SCMP_ACT_NOTIFY; resource_exhausted when the kernel's limit
 * of 4096 instructions is passed. In both cases the OCI runtime can still be given `toOciSeccomp`.
 */
export const compileSeccomp = (profile: SeccompProfile, target: SeccompTarget): Uint8Array => {
  const rules = seccompRules(profile, target);
  const program = new BpfAssembler();
  const bitsAt = (number: number, abi: AbiRules): 32 | 64 =>
    abi.abi === "x86_64" && number >= X32_BIT ? ABI_BITS.x32 : ABI_BITS[abi.abi];
  const architectures = Map.groupBy(rules.abis, ({ abi }) => AUDIT_ARCH[abi]);
  let next = returnTarget(RET_KILL_THREAD);
  // The native architecture comes first in the list and is asked first.
  for (const [architecture, abis] of [...architectures].toReversed()) {
    const [main] = abis;
    if (main === undefined) continue;
    const leaf = ({ start, rule }: Segment): JumpTarget =>
      emitRule(program, rule, bitsAt(start, main), rules.otherwise);
    const tree = emitTree(program, segmentsOfArchitecture(rules, abis), leaf);
    const entry = program.load(NUMBER, tree);
    next = program.branch(BPF.JEQ, architecture, entry, next);
  }
  const bytes = program.assemble(program.load(ARCHITECTURE, next));
  if (program.size > MAX_INSTRUCTIONS) {
    throw new NaruError(
      "resource_exhausted",
      `the seccomp profile becomes ${program.size} instructions, the kernel takes ` +
        `${MAX_INSTRUCTIONS}: it needs fewer conditions`,
      { details: { instructions: program.size } },
    );
  }
  return bytes;
};
