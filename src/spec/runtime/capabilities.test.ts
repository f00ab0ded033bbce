import { expect, test } from "bun:test";
import type { NaruError } from "#lib/errors.ts";
import {
  CAPABILITIES,
  type Capability,
  type CapabilityRequest,
  capabilitiesOfMask,
  DEFAULT_CAPABILITIES,
  resolveCapabilities,
} from "#spec/runtime/capabilities.ts";

const without = (...names: Capability[]): Capability[] =>
  DEFAULT_CAPABILITIES.filter((name) => !names.includes(name));

const cases: readonly [string, CapabilityRequest, readonly Capability[]][] = [
  ["nothing said", {}, DEFAULT_CAPABILITIES],
  ["drop one", { drop: ["mknod"] }, without("CAP_MKNOD")],
  ["drop all", { drop: ["all"] }, []],
  ["drop all, add one", { drop: ["ALL"], add: ["Cap_Chown"] }, ["CAP_CHOWN"]],
  ["add all", { add: ["ALL"] }, CAPABILITIES],
  [
    "add all but one",
    { add: ["ALL"], drop: ["SYS_ADMIN"] },
    CAPABILITIES.filter((name) => name !== "CAP_SYS_ADMIN"),
  ],
  ["add all and drop all is all", { add: ["ALL"], drop: ["ALL"] }, CAPABILITIES],
  ["added and dropped is added", { add: ["KILL"], drop: ["KILL"] }, DEFAULT_CAPABILITIES],
  ["privileged beats drop", { privileged: true, drop: ["ALL"] }, CAPABILITIES],
  [
    "only what the host has",
    { privileged: true, available: ["CAP_KILL", "CAP_CHOWN"] },
    ["CAP_CHOWN", "CAP_KILL"],
  ],
  ["defaults the host lacks are left out", { available: ["CAP_KILL"] }, ["CAP_KILL"]],
];

for (const [name, request, expected] of cases) {
  test(`capabilities: ${name}`, () => {
    expect(resolveCapabilities(request)).toEqual([...expected]);
  });
}

test("an unknown or missing capability is refused by name", () => {
  for (const request of [
    { add: ["NET_ADMON"] },
    { drop: ["NET_ADMON"] },
    { add: ["NET_ADMIN"], available: [] },
  ]) {
    try {
      resolveCapabilities(request);
      expect.unreachable();
    } catch (error) {
      expect((error as NaruError).code).toBe("invalid_argument");
      expect((error as NaruError).message).toContain("NET_ADM");
    }
  }
});

test("a mask of the kernel becomes names", () => {
  expect(capabilitiesOfMask("00000000a80425fb")).toEqual([...DEFAULT_CAPABILITIES]);
  expect(capabilitiesOfMask("000001ffffffffff")).toEqual([...CAPABILITIES]);
});
