import { expect, test } from "bun:test";
import {
  isSetLate,
  processOomScoreAdj,
  processRlimits,
} from "#container/runtime-config/process.ts";

test.each([
  // A daemon that is protected does not hand its protection down.
  [0, -500, 0],
  [0, 0, undefined],
  [200, 0, 200],
  [-300, 0, -300],
  [-500, -500, undefined],
  // Lowering is not allowed to everybody: tried only where it was asked for.
  [0, 300, undefined],
  [100, 300, 100],
])("wanted %d, inherited %d: says %p", (wanted, inherited, said) => {
  expect(processOomScoreAdj(wanted, inherited)).toBe(said);
});

test("no limit is 2^64-1 to the digit, and a ceiling lowers it", () => {
  const ulimits = [{ Name: "core", Soft: 1024, Hard: -1 }];
  const open = processRlimits(ulimits, () => 2n ** 64n - 1n);
  expect(JSON.stringify(open)).toBe(
    '{"rlimits":[{"type":"RLIMIT_CORE","soft":1024,"hard":18446744073709551615}],"warnings":[]}',
  );
  const { rlimits } = processRlimits(ulimits, () => 4096n);
  expect(rlimits).toEqual([{ type: "RLIMIT_CORE", soft: 1024, hard: 4096 }]);
});

test("limits that a runtime could not work with are set late", () => {
  const late = (Name: string, Soft: number): boolean =>
    processRlimits([{ Name, Soft, Hard: -1 }], () => 2n ** 64n - 1n).rlimits.some(isSetLate);
  expect(late("nofile", 20)).toBe(true);
  expect(late("fsize", 0)).toBe(true);
  expect(late("nofile", 1024)).toBe(false);
  expect(late("fsize", -1)).toBe(false);
  expect(late("core", 0)).toBe(false);
});
