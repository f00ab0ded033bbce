import { expect, test } from "bun:test";
import type { NaruError } from "#lib/errors.ts";
import { DEFAULT_CAPABILITIES } from "#spec/runtime/capabilities.ts";
import {
  auditArch,
  defaultTargets,
  evaluator,
  randomProfile,
  sampleCalls,
} from "#spec/runtime/seccomp-cases.fake.ts";
import { compileSeccomp } from "#spec/runtime/seccomp-compile.ts";
import { DEFAULT_SECCOMP_PROFILE } from "#spec/runtime/seccomp-default.ts";
import { selectAbis, selectRules } from "#spec/runtime/seccomp-oci.ts";
import type { SeccompProfile, SeccompTarget } from "#spec/runtime/seccomp-profile.ts";
import { simulateBpf } from "#spec/runtime/seccomp-simulate.ts";
import { AUDIT_ARCH, syscallNumber, X32_BIT } from "#spec/runtime/seccomp-syscalls.ts";

const TARGET: SeccompTarget = {
  arch: "x86_64",
  kernel: [6, 1],
  capabilities: DEFAULT_CAPABILITIES,
};

const ALLOW = 0x7fff0000;
const errno = (number: number): number => 0x50000 + number;
const EPERM = errno(1);
const ENOSYS = errno(38);

/** Calls on which the program and the profile's own meaning differ. */
const differences = (profile: SeccompProfile, target: SeccompTarget, seed: number): string[] => {
  const program = compileSeccomp(profile, target);
  const evaluate = evaluator(profile, selectRules(profile, target), true);
  const abis = selectAbis(profile, target.arch);
  const wrong: string[] = [];
  for (const call of sampleCalls(profile, target.arch, seed)) {
    const isCovered = abis.includes(
      call.abi === "x86_64" && (call.nr & X32_BIT) !== 0 ? "x32" : call.abi,
    );
    if (!isCovered) continue;
    const actual = simulateBpf(program, { ...call, arch: auditArch(call.abi) });
    const expected = evaluate(call);
    if (actual !== expected) {
      wrong.push(`${call.abi} ${call.nr} (${call.args.join(", ")}): ${actual} not ${expected}`);
    }
  }
  return wrong.slice(0, 5);
};

test("the default profile's program says what the profile says, for every number", () => {
  for (const target of defaultTargets) {
    expect(differences(DEFAULT_SECCOMP_PROFILE, target, 1)).toEqual([]);
  }
});

test("programs of random profiles say what the profiles say", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const arch = seed % 2 === 0 ? "x86_64" : "aarch64";
    expect(differences(randomProfile(seed), { ...TARGET, arch }, seed)).toEqual([]);
  }
});

test("the same profile and target give the same bytes, small enough for the kernel", () => {
  const first = compileSeccomp(DEFAULT_SECCOMP_PROFILE, TARGET);
  expect(first).toEqual(compileSeccomp(DEFAULT_SECCOMP_PROFILE, { ...TARGET }));
  expect(first.byteLength / 8).toBeLessThan(500);
});

/** A call of the default profile by its name. */
const verdict = (
  name: string,
  args: readonly bigint[] = [],
  capabilities: readonly string[] = DEFAULT_CAPABILITIES,
): number =>
  simulateBpf(compileSeccomp(DEFAULT_SECCOMP_PROFILE, { ...TARGET, capabilities }), {
    nr: syscallNumber("x86_64", name) ?? -1,
    arch: AUDIT_ARCH.x86_64,
    args,
  });

const ADMIN = [...DEFAULT_CAPABILITIES, "CAP_SYS_ADMIN"];

const known: readonly [string, number, number][] = [
  ["read", verdict("read"), ALLOW],
  ["mount", verdict("mount"), EPERM],
  ["mount with CAP_SYS_ADMIN", verdict("mount", [], ADMIN), ALLOW],
  ["unshare", verdict("unshare", [0x10000000n]), EPERM],
  ["io_uring_setup", verdict("io_uring_setup"), EPERM],
  ["keyctl", verdict("keyctl"), EPERM],
  ["chroot with CAP_SYS_CHROOT", verdict("chroot"), ALLOW],
  ["chroot without", verdict("chroot", [], []), EPERM],
  ["clone of a thread", verdict("clone", [0x3d0f00n]), ALLOW],
  ["clone of a user namespace", verdict("clone", [0x10000011n]), EPERM],
  ["the same with CAP_SYS_ADMIN", verdict("clone", [0x10000011n], ADMIN), ALLOW],
  ["clone3", verdict("clone3"), ENOSYS],
  ["clone3 with CAP_SYS_ADMIN", verdict("clone3", [], ADMIN), ALLOW],
  ["socket AF_INET", verdict("socket", [2n]), ALLOW],
  ["socket AF_ALG", verdict("socket", [38n]), EPERM],
  ["socket 39", verdict("socket", [39n]), ALLOW],
  ["socket AF_VSOCK", verdict("socket", [40n]), EPERM],
  ["socket 41", verdict("socket", [41n]), ALLOW],
  ["personality that asks", verdict("personality", [0xffffffffn]), ALLOW],
  ["personality without address randomisation", verdict("personality", [0x40000n]), EPERM],
];

for (const [name, actual, expected] of known) {
  test(`default profile: ${name}`, () => {
    expect(actual).toBe(expected);
  });
}

test("numbers newer than the profile get ENOSYS, foreign architectures are killed", () => {
  const program = compileSeccomp(DEFAULT_SECCOMP_PROFILE, TARGET);
  const on = (arch: number, nr: number): number => simulateBpf(program, { arch, nr });
  expect(on(AUDIT_ARCH.x86_64, 900)).toBe(ENOSYS);
  expect(on(AUDIT_ARCH.x86_64, X32_BIT + 900)).toBe(ENOSYS);
  expect(on(AUDIT_ARCH.x86, 900)).toBe(ENOSYS);
  expect(on(AUDIT_ARCH.aarch64, 0)).toBe(0);
  const permissive = { ...DEFAULT_SECCOMP_PROFILE, defaultAction: "SCMP_ACT_LOG" } as const;
  const lenient = compileSeccomp(permissive, TARGET);
  expect(simulateBpf(lenient, { arch: AUDIT_ARCH.x86_64, nr: 900 })).toBe(0x7ffc0000);
});

test("without x32 in the profile its numbers are a foreign architecture", () => {
  const program = compileSeccomp({ ...DEFAULT_SECCOMP_PROFILE, archMap: [] }, TARGET);
  const on = (nr: number): number => simulateBpf(program, { arch: AUDIT_ARCH.x86_64, nr });
  expect(on(0)).toBe(ALLOW);
  expect(on(X32_BIT)).toBe(0);
  expect(on(0xffffffff)).toBe(EPERM);
  expect(simulateBpf(program, { arch: AUDIT_ARCH.x86, nr: 3 })).toBe(0);
});

test("far jumps: a profile of many conditions still compiles right", () => {
  const syscalls = Array.from({ length: 300 }, (_, index) => ({
    names: [["ioctl", "prctl", "fcntl"][index % 3] ?? ""],
    action: "SCMP_ACT_ALLOW" as const,
    args: [{ index: 1, op: "SCMP_CMP_EQ" as const, value: BigInt(index) << 20n, valueTwo: 0n }],
  }));
  const profile = { ...DEFAULT_SECCOMP_PROFILE, archMap: [], syscalls };
  expect(compileSeccomp(profile, TARGET).byteLength / 8).toBeGreaterThan(1000);
  expect(differences(profile, TARGET, 3)).toEqual([]);
});

const refusal = (profile: SeccompProfile): NaruError => {
  try {
    compileSeccomp(profile, TARGET);
  } catch (error) {
    return error as NaruError;
  }
  return expect.unreachable();
};

test("what cannot be a program is refused", () => {
  const rule = { names: ["ioctl"], args: [] };
  const notify = refusal({
    ...DEFAULT_SECCOMP_PROFILE,
    syscalls: [{ ...rule, action: "SCMP_ACT_NOTIFY" }],
  });
  expect(notify.code).toBe("not_implemented");
  const large = refusal({
    ...DEFAULT_SECCOMP_PROFILE,
    syscalls: Array.from({ length: 1500 }, (_, value) => ({
      ...rule,
      action: "SCMP_ACT_ALLOW",
      args: [{ index: 1, op: "SCMP_CMP_EQ", value: BigInt(value), valueTwo: 0n }],
    })),
  });
  expect(large.code).toBe("resource_exhausted");
});
