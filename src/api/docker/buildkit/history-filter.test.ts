import { expect, test } from "bun:test";

import { type FilteredBuild, historyFilter } from "#api/docker/buildkit/history-filter.ts";

const NOW = Date.parse("2026-01-02T12:00:00Z");
const build = (more: Partial<FilteredBuild>): FilteredBuild => ({
  ref: "abcdef",
  attributes: { "vcs:source": "https://example.com/r.git" },
  error: undefined,
  startedMs: NOW - 60_000,
  completedMs: NOW - 50_000,
  ...more,
});

const CASES: readonly [string[], Partial<FilteredBuild>, boolean][] = [
  [[], {}, true],
  [["status==completed"], {}, true],
  [["status==running"], { completedMs: undefined }, true],
  [["status==error"], { error: { code: "internal", message: "" } }, true],
  [["status==canceled"], { error: { code: "canceled", message: "" } }, true],
  [["status!=completed"], {}, false],
  [["ref~=cde"], {}, true],
  [["ref~=x"], {}, false],
  [["repository~=example.com"], {}, true],
  [["startedAt>30s"], {}, false],
  [["startedAt<30s"], {}, true],
  [["startedAt>2026-01-02T11:00:00Z"], {}, true],
  [["duration>=10s"], {}, true],
  [["duration>1m30s"], {}, false],
  [["ref~=abc,status==error"], {}, false],
  [["status==error", "ref~=abc"], {}, true],
];
for (const [filters, more, expected] of CASES) {
  test(`${JSON.stringify(filters)} on ${JSON.stringify(more)}`, () => {
    expect(historyFilter(filters)(build(more), NOW)).toBe(expected);
  });
}

test("what is no filter is refused with what there is", () => {
  for (const filter of ["size>3", "status~", "duration>x"]) {
    expect(() => historyFilter([filter])).toThrow(`invalid filter "${filter}"`);
  }
});
