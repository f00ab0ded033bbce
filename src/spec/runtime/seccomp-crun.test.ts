import { expect, test } from "bun:test";
import { compileSeccomp } from "#spec/runtime/seccomp-compile.ts";
import { CRUN_SECCOMP_ANNOTATION, seccompForCrun } from "#spec/runtime/seccomp-crun.ts";
import { DEFAULT_SECCOMP_PROFILE } from "#spec/runtime/seccomp-default.ts";
import type { SeccompTarget } from "#spec/runtime/seccomp-profile.ts";

const TARGET: SeccompTarget = { arch: "x86_64", kernel: [6, 1], capabilities: [] };

test("crun gets the program, its flags, and a guard that refuses everything", () => {
  const { annotations, seccomp } = seccompForCrun(
    { ...DEFAULT_SECCOMP_PROFILE, flags: ["SECCOMP_FILTER_FLAG_LOG"] },
    TARGET,
  );
  expect(seccomp).toEqual({ defaultAction: "SCMP_ACT_ERRNO", flags: ["SECCOMP_FILTER_FLAG_LOG"] });
  const program = Buffer.from(annotations[CRUN_SECCOMP_ANNOTATION] ?? "", "base64");
  expect(program.equals(compileSeccomp(DEFAULT_SECCOMP_PROFILE, TARGET))).toBe(true);
});

test("what cannot be compiled is left to crun", () => {
  const { annotations, seccomp } = seccompForCrun(
    {
      ...DEFAULT_SECCOMP_PROFILE,
      syscalls: [{ names: ["mknod"], action: "SCMP_ACT_NOTIFY", args: [] }],
    },
    TARGET,
  );
  expect(annotations).toEqual({});
  expect(seccomp.syscalls).toEqual([{ names: ["mknod"], action: "SCMP_ACT_NOTIFY" }]);
});
