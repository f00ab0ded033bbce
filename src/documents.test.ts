/** What is written beside the code points at what is there. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { Glob } from "bun";

const root = join(import.meta.dir, "..");
const documents = ["*.md", "{src,docs,test,bench}/**/*.md"]
  .flatMap((pattern) => [...new Glob(pattern).scanSync(root)])
  .filter((path) => !path.includes("node_modules"));
const textOf = (path: string): string => readFileSync(join(root, path), "utf8");

/** Links to files: [words](path#place); `name` where the words are a name in the code. */
const linksOf = (path: string): { readonly target: string; readonly name: string | undefined }[] =>
  [...textOf(path).matchAll(/\[([^\]]*)\]\(([^)\s#]+)(?:#[^)]*)?\)/g)]
    .filter(([, , target = ""]) => !/^[a-z]+:/.test(target))
    .map(([, words = "", target = ""]) => ({
      target: normalize(join(dirname(path), target)),
      name: /^`([\w.]+)`$/.exec(words)?.[1]?.split(".").at(-1),
    }));

test("links lead to files that are there, and a function that is named stands in its file", () => {
  expect(documents.length).toBeGreaterThan(60);
  const wrong = documents.flatMap((path) =>
    linksOf(path).flatMap(({ target, name }) => {
      if (!existsSync(join(root, target))) return [`${path}: there is no "${target}"`];
      if (name === undefined || !target.endsWith(".ts")) return [];
      return textOf(target).includes(name) ? [] : [`${path}: there is no "${name}" in "${target}"`];
    }),
  );
  expect(wrong).toEqual([]);
});

test("each decision has a number of its own, which its title bears", () => {
  const numbers = readdirSync(join(root, "docs/decisions")).map((name) => {
    const number = Number(name.slice(0, 4));
    expect(textOf(`docs/decisions/${name}`)).toMatch(new RegExp(`^# 0*${number}[.:] `));
    return number;
  });
  expect(numbers.toSorted((a, b) => a - b)).toEqual(numbers.map((_, index) => index + 1));
  const wrong = documents.flatMap((path) =>
    [...textOf(path).matchAll(/\bdecision (\d+)/g)].flatMap(([, number]) =>
      numbers.includes(Number(number)) ? [] : [`${path}: decision ${number}`],
    ),
  );
  expect(wrong).toEqual([]);
});

test("each room has a README of under 40 lines", () => {
  const rooms = readdirSync(join(root, "src"), { withFileTypes: true }).filter((one) =>
    one.isDirectory(),
  );
  const missing = rooms
    .map(({ name }) => `src/${name}/README.md`)
    .filter((path) => !documents.includes(path));
  expect(missing).toEqual([]);
  const long = documents.filter(
    (path) => path.startsWith("src/") && textOf(path).trimEnd().split("\n").length >= 40,
  );
  expect(long).toEqual([]);
});
