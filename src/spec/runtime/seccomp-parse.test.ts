import { expect, test } from "bun:test";
import type { NaruError } from "#lib/errors.ts";
import { toOciSeccomp } from "#spec/runtime/seccomp-oci.ts";
import { parseSeccompProfile } from "#spec/runtime/seccomp-parse.ts";
import type { SeccompTarget } from "#spec/runtime/seccomp-profile.ts";

const TARGET: SeccompTarget = { arch: "x86_64", kernel: [6, 1], capabilities: ["CAP_KILL"] };

const DOCKER = `{
  "defaultAction": "SCMP_ACT_ERRNO",
  "defaultErrnoRet": 1,
  "archMap": [
    {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
    {"architecture": "SCMP_ARCH_RISCV64", "subArchitectures": null}
  ],
  "syscalls": [
    {"names": ["read", "invented"], "action": "SCMP_ACT_ALLOW", "args": null, "comment": "", "errnoRet": 1},
    {"name": "kill", "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_KILL"]}, "excludes": {}},
    {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_KILL", "CAP_SYS_ADMIN"]}},
    {"names": ["umount"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_KILL"]}},
    {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
    {"names": ["acct"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.2"}},
    {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
    {"names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "errno": "ENOTTY",
     "args": [{"index": 1, "value": 18446744073709551615, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ"}]}
  ]
}`;

test("Docker's format becomes the OCI's: conditions decided, nothing else lost", () => {
  const oci = toOciSeccomp(parseSeccompProfile(DOCKER), TARGET);
  expect(JSON.stringify(oci)).toBe(
    '{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,' +
      '"architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"],"syscalls":[' +
      '{"names":["read","invented"],"action":"SCMP_ACT_ALLOW"},' +
      '{"names":["kill"],"action":"SCMP_ACT_ALLOW"},' +
      '{"names":["ptrace"],"action":"SCMP_ACT_ALLOW"},' +
      '{"names":["ioctl"],"action":"SCMP_ACT_ERRNO","errnoRet":25,"args":[' +
      '{"index":1,"value":18446744073709551615,"valueTwo":3,"op":"SCMP_CMP_MASKED_EQ"}]}]}',
  );
});

test("the OCI's format stays what it is", () => {
  const text =
    '{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],"flags":[],' +
    '"listenerPath":"/run/l","listenerMetadata":"m",' +
    '"syscalls":[{"names":["ioctl"],"action":"SCMP_ACT_NOTIFY"}]}';
  expect(JSON.stringify(toOciSeccomp(parseSeccompProfile(text), TARGET))).toBe(text);
});

const rule = (fields: string): string =>
  `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_TRAP",${fields}}]}`;

const refused: readonly [text: string, field: string | undefined][] = [
  ["{", undefined],
  ["[]", ""],
  ["{}", "defaultAction"],
  ['{"defaultAction":"ALLOW"}', "defaultAction"],
  ['{"defaultAction":"SCMP_ACT_ALLOW","defaultErrnoRet":-1}', "defaultErrnoRet"],
  ['{"defaultAction":"SCMP_ACT_ALLOW","syscall":[]}', "syscall"],
  ['{"defaultAction":"SCMP_ACT_ALLOW","syscalls":{}}', "syscalls"],
  [
    '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_LOG"}]}',
    "syscalls[0].names",
  ],
  ['{"defaultAction":"SCMP_ACT_ALLOW","flags":["X"]}', "flags[0]"],
  ['{"defaultAction":"SCMP_ACT_ALLOW","architectures":["X"]}', "architectures[0]"],
  [
    '{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],' +
      '"archMap":[{"architecture":"SCMP_ARCH_X86"}]}',
    "architectures",
  ],
  [rule('"name":"b"'), "syscalls[0].name"],
  [rule('"arg":[]'), "syscalls[0].arg"],
  [rule('"errno":"EWHAT"'), "syscalls[0].errno"],
  [rule('"includes":{"minKernel":"4"}'), "syscalls[0].includes.minKernel"],
  [rule('"includes":{"caps":["CAP_WHAT"]}'), "syscalls[0].includes.caps[0]"],
  [rule('"args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]'), "syscalls[0].args[0].index"],
  [rule('"args":[{"index":0,"value":-1,"op":"SCMP_CMP_EQ"}]'), "syscalls[0].args[0].value"],
  [
    rule('"args":[{"index":0,"value":18446744073709551616,"op":"SCMP_CMP_EQ"}]'),
    "syscalls[0].args[0].value",
  ],
  [rule('"args":[{"index":0,"value":1,"op":"=="}]'), "syscalls[0].args[0].op"],
];

for (const [text, field] of refused) {
  test(`refused, naming ${JSON.stringify(field)}: ${text.slice(0, 90)}`, () => {
    try {
      parseSeccompProfile(text);
      expect.unreachable();
    } catch (error) {
      expect((error as NaruError).code).toBe("invalid_argument");
      expect((error as NaruError).details["field"]).toBe(field);
    }
  });
}
