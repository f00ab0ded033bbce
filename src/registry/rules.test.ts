import { expect, test } from "bun:test";

import { planRetention } from "#registry/retention.ts";
import { compileGlob } from "#registry/rules.ts";
import { createAccessRules, grantOf, parseScope, scopesOf } from "#registry/access/rules.ts";
import type { Digest } from "#spec/image/digest.ts";

const GLOBS: readonly [string, string, boolean][] = [
  ["**", "a/b/c", true],
  ["*", "a", true],
  ["*", "a/b", false],
  ["team/*", "team/a", true],
  ["team/*", "team/a/b", false],
  ["team/**", "team/a/b", true],
  ["team/**", "teams/a", false],
  ["v?.*", "v1.2", true],
  ["v?.*", "v10.2", false],
  ["a.b", "axb", false],
  ["a+(b)", "a+(b)", true],
];
for (const [pattern, text, isMatch] of GLOBS) {
  test(`"${pattern}" and "${text}"`, () => expect(compileGlob(pattern).test(text)).toBe(isMatch));
}

const DAY = 86_400_000_000_000n;
const at = (days: number): string =>
  new Date(days * 86_400_000).toISOString().replace("Z", "000000Z");
const tags = [
  ["old", 1],
  ["v1", 2],
  ["mid", 5],
  ["new", 9],
].map(([name, day]) => ({
  name: String(name),
  digest: `sha256:${"0".repeat(64)}` as Digest,
  taggedAt: at(Number(day)),
}));

test("retention: the newest, the young and the named stay", () => {
  const kept = (...rules: Parameters<typeof planRetention>[2]): string[] =>
    planRetention("a/b", tags, rules, 10n * DAY)
      .filter(({ isKept }) => isKept)
      .map(({ tag }) => tag);
  const all = { repositories: "**", tags: "*" };
  expect(kept({ ...all, keepLast: 1 })).toEqual(["new"]);
  expect(kept({ ...all, keepDays: 6 })).toEqual(["mid", "new"]);
  expect(kept({ ...all, keepTags: ["v*"] })).toEqual(["v1"]);
  expect(kept({ ...all, keepLast: 1, keepTags: ["v*"] })).toEqual(["v1", "new"]);
  expect(kept({ ...all, keepLast: 1 }, { ...all, keepTags: ["old"] })).toEqual(["old", "new"]);
  // What no rule looks at stays.
  expect(kept({ ...all, tags: "m*", keepLast: 0 })).toEqual(["old", "v1", "new"]);
  expect(kept({ ...all, repositories: "c/*", keepLast: 0 })).toEqual(["old", "v1", "mid", "new"]);
  expect(kept()).toEqual(["old", "v1", "mid", "new"]);
});

test("retention applied twice removes nothing the second time", () => {
  const rules = [{ repositories: "**", tags: "*", keepLast: 2, keepTags: ["v*"] }];
  const plan = planRetention("a", tags, rules, 10n * DAY);
  const left = tags.filter(({ name }) => plan.find(({ tag }) => tag === name)?.isKept === true);
  expect(planRetention("a", left, rules, 10n * DAY).every(({ isKept }) => isKept)).toBe(true);
});

const rules = createAccessRules(
  [
    { repositories: "public/**", users: ["anonymous"], actions: ["pull"] },
    { repositories: "team/**", users: ["@dev"], actions: ["pull", "push"] },
    { repositories: "**", users: ["*"], actions: ["catalog"] },
  ],
  { dev: ["bob"] },
);

test("access rules give, none takes away", () => {
  const may = (name: string, action: "pull" | "push" | "catalog" | "admin", repository: string) =>
    rules.allows(name, { action, repository });
  expect(may("", "pull", "public/a")).toBe(true);
  expect(may("", "push", "public/a")).toBe(false);
  expect(may("", "pull", "team/a")).toBe(false);
  expect(may("bob", "push", "team/a")).toBe(true);
  expect(may("eve", "push", "team/a")).toBe(false);
  expect(may("eve", "catalog", "")).toBe(true);
  expect(may("", "catalog", "")).toBe(false);
  expect(may("bob", "admin", "")).toBe(false);
});

test("a token is granted what the rules give, and no more", () => {
  const grant = (name: string, scope: string) => {
    const asked = parseScope(scope);
    return asked === undefined ? undefined : grantOf(rules, name, asked).actions;
  };
  expect(grant("bob", "repository:team/a:pull,push,delete")).toEqual(["pull", "push"]);
  expect(grant("bob", "repository:team/a:*")).toEqual(["pull", "push"]);
  expect(grant("", "repository:team/a:pull")).toEqual([]);
  expect(grant("bob", "registry:catalog:*")).toEqual(["*"]);
  expect(grant("bob", "registry:admin:*")).toEqual([]);
  expect(grant("bob", "other:team/a:pull")).toEqual([]);
  expect(grant("bob", "nonsense")).toBeUndefined();
  expect(scopesOf([{ action: "push", repository: "a" }])).toBe("repository:a:pull,push");
});
