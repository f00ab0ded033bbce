import { expect, test } from "bun:test";
import { DetachScanner, parseDetachKeys } from "#container/detach-keys.ts";

test("keys are parsed as Docker writes them", () => {
  expect([...parseDetachKeys("")]).toEqual([16, 17]);
  expect([...parseDetachKeys("ctrl-a,x")]).toEqual([1, 120]);
  expect([...parseDetachKeys("ctrl-@,ctrl-_")]).toEqual([0, 31]);
  for (const wrong of ["ctrl-", "ctrl-A,a", "CTRL-a"])
    expect(() => parseDetachKeys(wrong)).toThrow("Invalid detach keys");
});

test("the sequence is found over chunk borders and what is none passes", () => {
  const scanner = new DetachScanner(parseDetachKeys(""));
  expect(scanner.scan(Uint8Array.from([97, 16]))).toEqual({
    passed: Uint8Array.from([97]),
    isDetached: false,
  });
  expect(scanner.scan(Uint8Array.from([98]))).toEqual({
    passed: Uint8Array.from([16, 98]),
    isDetached: false,
  });
  expect(scanner.scan(Uint8Array.from([16, 16])).isDetached).toBe(false);
  expect(scanner.scan(Uint8Array.from([17])).isDetached).toBe(true);
});
