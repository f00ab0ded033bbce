import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { publishedFiles } from "#cli/compose/published-files.ts";
import type { Project } from "#spec/compose/project.ts";

const published = (files: Readonly<Record<string, string>>, main = "compose.yaml") => {
  const folder = mkdtempSync(`${tmpdir()}/published-`);
  using _folder = { [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
  for (const [name, text] of Object.entries(files)) writeFileSync(`${folder}/${name}`, text);
  const project = { files: [`${folder}/${main}`], workingDirectory: folder };
  return publishedFiles(project as unknown as Project, true);
};

const ENV_NAME = String.raw`[0-9a-f]{64}\.env`;

test.each([
  ["a list", "services: {web: {env_file: [own.env]}}"],
  ["an alias of the name", "x-e: &e own.env\nservices: {web: {env_file: *e}}"],
  ["an alias of the list", "x-e: &e [own.env]\nservices: {web: {env_file: *e}}"],
  ["an alias of the service", "x-s: &s {env_file: own.env}\nservices: {web: *s, db: *s}"],
  ["a merge", "x-s: &s\n  env_file: own.env\nservices:\n  web: {<<: *s}\n  db: {<<: *s}"],
  [
    "a merge of several",
    "x-a: &a {}\nx-s: &s {env_file: own.env}\nservices: {web: {<<: [*a, *s]}}",
  ],
  ["each on its own", "services: {web: {env_file: own.env}, db: {env_file: {path: own.env}}}"],
])("a file that %s names goes along, by its new name", (_, text) => {
  const [main, ...others] = published({ "compose.yaml": text, "own.env": "A=1\n" });
  expect(main?.text).not.toContain("own.env");
  expect(main?.text).toMatch(new RegExp(ENV_NAME));
  expect(others.map(({ kind, text: own }) => [kind, own])).toEqual([["env", "A=1\n"]]);
  expect(main?.text).toContain(others[0]?.name ?? "none");
});

test("what a nearer key hides stays at home", () => {
  const text = "x-s: &s {env_file: far.env}\nservices: {web: {<<: *s, env_file: own.env}}";
  const files = published({ "compose.yaml": text, "own.env": "A=1\n", "far.env": "B=2\n" });
  expect(files.map((file) => file.text).join("")).not.toContain("B=2");
});

test("a base by an alias goes along; one that merges itself is no endless way", () => {
  const text = "x-b: &b {file: base.yaml, service: b}\nservices: {web: {extends: *b}}";
  const base = "services:\n  b: &b\n    image: x\n    <<: *b\n";
  const [main, other] = published({ "compose.yaml": text, "base.yaml": base });
  expect(main?.text).toContain(other?.name ?? "none");
  expect(other?.text).toBe(base);
});

test("standard input is refused by name", () => {
  expect(() => published({}, "-")).toThrow("standard input has no name");
});
