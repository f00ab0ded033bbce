import { expect, test } from "bun:test";
import { compareLayers, compareTrees, treeOf } from "#cli/image/diff/compare.ts";
import type { LayerFile, SavedLayer } from "#cli/image/explain/archive.ts";

const file = (path: string, content = path, attributes = "file 644 0:0"): LayerFile => ({
  path,
  sizeBytes: content.length,
  digest: content,
  attributes,
  secrets: [],
});
const layer = (files: LayerFile[], ...removed: string[]): SavedLayer => ({ files, removed });

test("added, changed in content or attributes, deleted", () => {
  const from = treeOf([layer([file("same"), file("etc/a", "one"), file("gone"), file("mode")])]);
  const to = treeOf([
    layer([
      file("same"),
      file("etc/a", "three"),
      file("mode", "mode", "file 755 0:0"),
      file("new"),
    ]),
  ]);
  expect(compareTrees(from, to)).toEqual({
    changes: [
      { kind: "changed", path: "/etc/a", sizeBytes: 5, oldSizeBytes: 3, what: "content" },
      { kind: "deleted", path: "/gone", sizeBytes: 4 },
      { kind: "changed", path: "/mode", sizeBytes: 4, oldSizeBytes: 4, what: "attributes" },
      { kind: "added", path: "/new", sizeBytes: 3 },
    ],
    added: 1,
    changed: 2,
    deleted: 1,
    growthBytes: 2 - 4 + 3,
  });
  expect(compareTrees(from, from).changes).toEqual([]);
});

const WHITEOUTS: [what: string, upper: SavedLayer, left: string[]][] = [
  ["a file", layer([], "a/b"), ["a/c/d", "ab"]],
  ["a directory", layer([], "a/c"), ["a/b", "ab"]],
  ["all in a directory, before its own files", layer([file("a/e")], "a/"), ["a/e", "ab"]],
  ["everything", layer([file("x")], ""), ["x"]],
  ["a directory that became a file", layer([file("a")]), ["a", "ab"]],
  ["nothing that begins alike only", layer([], "a/"), ["ab"]],
];
for (const [what, upper, left] of WHITEOUTS) {
  test(`a layer takes away ${what}`, () => {
    const tree = treeOf([layer([file("a/b"), file("a/c/d"), file("ab")]), upper]);
    expect([...tree.keys()].toSorted()).toEqual(left);
  });
}

test("what each layer changes of those below", () => {
  const [first, second] = compareLayers([
    layer([file("a"), file("b")]),
    layer([file("a"), file("c")], "b"),
  ]);
  expect([first?.added, first?.growthBytes]).toEqual([2, 2]);
  // The same file again is no change.
  expect(second?.changes.map(({ kind, path }) => `${kind} ${path}`)).toEqual([
    "deleted /b",
    "added /c",
  ]);
});
