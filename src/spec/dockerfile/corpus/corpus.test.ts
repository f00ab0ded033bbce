import { expect, test } from "bun:test";

import { readCorpus, render } from "#spec/dockerfile/corpus/corpus.suite.ts";

const cases = readCorpus();

test("the corpus is whole", () => {
  expect(cases.length).toBeGreaterThanOrEqual(300);
  const names = cases.map((item) => `${item.subject}: ${item.name}`);
  expect(new Set(names).size).toBe(names.length);
});

test.each(cases.map((item) => [`${item.subject}: ${item.name}`, item] as const))(
  "%s",
  (_name, item) => {
    expect(render(item)).toBe(item.golden);
  },
);
