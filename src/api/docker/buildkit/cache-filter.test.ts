import { expect, test } from "bun:test";

import { cacheMatcher, spaceOf } from "#api/docker/buildkit/cache-filter.ts";
import type { BuildCacheItem } from "#build/build.ts";

const item: BuildCacheItem = {
  id: "abc123",
  parent: "parent1",
  kind: "exec.cachemount",
  description: "RUN make all",
  isInUse: false,
  isShared: true,
  sizeBytes: 1,
  createdAt: "",
  lastUsedAt: "",
  useCount: 1,
};

test.each([
  ["id=abc123", true],
  ["id=abc", false],
  ["id~=bc1", true],
  ["type==exec.cachemount", true],
  ["type!=exec.cachemount", false],
  ["parent==parent1", true],
  ["parents==other", false],
  ['description~="make"', true],
  ["shared", true],
  ["shared=1", true],
  ["shared==false", false],
  ["private", false],
  ["inuse==0", true],
  ["mutable==true", true],
  ["immutable", false],
  ["shared,mutable", true],
  ["shared,inuse", false],
  ["", true],
])("%j matches: %p", (filter, isMatch) => {
  expect(cacheMatcher([filter])(item)).toBe(isMatch);
});

test("a filter of another field is refused by name", () => {
  for (const filter of ["color=red", "mutables", "ids=abc123", "shared true"]) {
    expect(() => cacheMatcher([filter])).toThrow(`the filter "${filter}"`);
  }
});

test("what is reserved stays, whatever else may be used", () => {
  const limits = { reservedBytes: 0, maxUsedBytes: 0, minFreeBytes: 0 };
  expect(spaceOf(limits)).toEqual({ keepBytes: undefined });
  expect(spaceOf({ ...limits, maxUsedBytes: 5 })).toEqual({ keepBytes: 5 });
  expect(spaceOf({ reservedBytes: 9, maxUsedBytes: 5, minFreeBytes: 7 })).toEqual({
    keepBytes: 9,
    minFreeBytes: 7,
  });
});
