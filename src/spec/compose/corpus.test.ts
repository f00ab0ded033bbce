/**
 * Every model of the corpus: what it resolves to, or the error with its line. `UPDATE=1 bun test`
 * writes what is there now; `bun scripts/prove-compose.ts` compares with the reference tool.
 */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import type { Case } from "#spec/compose/corpus.fake.ts";
import { CORPUS_FOLDER, inputsOf, printCase, readCorpus } from "#spec/compose/corpus.fake.ts";
import { resolveInputs } from "#spec/compose/inputs.ts";
import { loadProject } from "#spec/compose/load.ts";
import { printYaml } from "#spec/compose/print.ts";
import { withServices, withoutUnused } from "#spec/compose/select.ts";
import { NaruError } from "#lib/errors.ts";
import { loadYamlLibrary } from "#spec/compose/yaml.ts";

await loadYamlLibrary();

const resolve = (given: Case): NonNullable<Case["expected"]> => {
  try {
    const inputs = inputsOf(given);
    const project = loadProject({ ...resolveInputs(inputs), named: inputs.named });
    return {
      kind: "config",
      text: printYaml(withoutUnused(withServices(project.model, inputs.named))),
    };
  } catch (error) {
    if (!(error instanceof NaruError)) throw error;
    return { kind: "error", text: `${error.message}\n` };
  }
};

const cases = readCorpus();

if (process.env["UPDATE"] === "1") {
  for (const file of new Set(cases.map((given) => given.file))) {
    const own = cases.filter((given) => given.file === file);
    const text = own.map((given) => printCase({ ...given, expected: resolve(given) })).join("");
    writeFileSync(`${CORPUS_FOLDER}/${file}`, text);
  }
}

test("there are at least 300 cases", () => {
  expect(cases.length).toBeGreaterThanOrEqual(300);
});

test("no title stands twice", () => {
  const titles = cases.map((given) => `${given.file}: ${given.title}`);
  expect(titles.length).toBe(new Set(titles).size);
});

for (const given of cases) {
  test(`${given.file}: ${given.title}`, () => {
    if (process.env["UPDATE"] === "1") return;
    const result = resolve(given);
    expect(`${result.kind}\n${result.text}`).toBe(
      `${given.expected?.kind ?? "nothing"}\n${given.expected?.text ?? ""}`,
    );
  });
}
