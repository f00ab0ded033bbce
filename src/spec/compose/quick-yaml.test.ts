import { expect, test } from "bun:test";
import { readCorpus } from "#spec/compose/corpus.fake.ts";
import type { Node } from "#spec/compose/node.ts";
import { quickYaml } from "#spec/compose/quick-yaml.ts";
import { parseByLibrary } from "#spec/compose/library-yaml.ts";

const corpus = readCorpus().flatMap(({ files }) =>
  Object.entries(files)
    .filter(([name]) => /\.ya?ml$/.test(name))
    .map(([, text]) => text),
);

const byLibrary = (text: string): readonly Node[] | string => {
  try {
    return parseByLibrary("f", text);
  } catch (error) {
    return String(error);
  }
};

test("what is read in one pass is what the library reads, places too; most files are", () => {
  let quick = 0;
  for (const text of corpus) {
    const tree = quickYaml("f", text);
    if (tree === undefined) continue;
    quick += 1;
    expect([tree] as unknown).toEqual(byLibrary(text));
  }
  expect(quick / corpus.length).toBeGreaterThan(0.7);
});

/** The same numbers each time. */
const numbers = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
};

const PIECES = "abc0 \n:-#,[]{}'\"|>&*!?%@`$.\\_~"
  .split("")
  .concat([
    "\n  ",
    "\n- ",
    ": ",
    " #",
    "- ",
    "\n    - ",
    "|\n",
    "null",
    "07",
    "1e3",
    "\n\n",
    "  ",
    "[a, b]",
    "{a: b}",
    "'it''s'",
    '"x\\n"',
    "---\n",
    "key:",
    "\t",
    "\r\n",
    "${A:-b}",
  ]);

test("changed at random it is the same still, or left to the library", () => {
  const next = numbers(7);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;
  let quick = 0;
  for (let round = 0; round < 8_000; round += 1) {
    let text = pick(corpus).slice(0, 600);
    for (let change = 0; change < 1 + (round % 4); change += 1) {
      const at = Math.floor(next() * (text.length + 1));
      const cut = next() < 0.5 ? Math.floor(next() * 4) : 0;
      text = text.slice(0, at) + (next() < 0.8 ? pick(PIECES) : "") + text.slice(at + cut);
    }
    const tree = quickYaml("f", text);
    if (tree === undefined) continue;
    quick += 1;
    if (!Bun.deepEquals([tree], byLibrary(text)))
      expect({ text, tree: [tree] } as unknown).toEqual({ text, tree: byLibrary(text) });
  }
  expect(quick).toBeGreaterThan(500);
}, 300_000);
