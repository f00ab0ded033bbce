import { expect, test } from "bun:test";
import type { TarEntry } from "#lib/tar/entry.ts";
import { TarParser } from "#lib/tar/parser.ts";
import { LayerTree } from "#snapshot/layer-tree.ts";
import { directory, file, hardLink, tarOf } from "#snapshot/tar-fixture.fake.ts";
import { erofsImage } from "#spec/erofs/image.ts";

const treeOf = (bytes: Uint8Array, indexedEntries?: number): LayerTree => {
  const tree = new LayerTree({
    maxEntries: 1000,
    ...(indexedEntries === undefined ? {} : { indexedEntries }),
  });
  const parser = new TarParser(tree);
  parser.push(bytes);
  parser.end();
  return tree;
};

test("content stays where the archive has it; the same archive gives the same image", () => {
  const tar = tarOf(directory("d"), file("d/a", "x".repeat(700)), hardLink("b", "d/a"), file("c"));
  const tree = treeOf(tar);
  const a = tree.root.children.get("b");
  expect(a?.content).toEqual({ kind: "data", sizeBytes: 700, offset: 1024 });
  expect(Buffer.from(tar).toString("latin1", 1024, 1724)).toBe("x".repeat(700));
  const image = erofsImage(tree.root, tar.length);
  expect(image.length % 512).toBe(0);
  expect(image.equals(erofsImage(treeOf(tar).root, tar.length))).toBe(true);
});

test("what no index can show is said to be so, and is read to its end", () => {
  const many = tarOf(...Array.from({ length: 20 }, (_, at) => file(`f${at}`)));
  const tree = treeOf(many, 10);
  expect(tree.unsuited).toBe("it has more than 10 entries");
  expect(tree.root.children.size).toBe(0);
  expect(tree.entries).toBe(20);

  const large = treeOf(tarOf(file("x", "", { xattrs: { "user.large": "x".repeat(70_000) } })));
  expect(large.unsuited).toBe('the attributes of "x" are too large');

  const holes = new LayerTree({ maxEntries: 10 });
  const regions = [{ offset: 100, length: 7 }];
  const sparse = { ...treeOfOne(), name: "holes", size: 5000, regions };
  holes.entry(sparse, 512);
  expect(holes.unsuited).toBe('the holes of "holes" do not lie at blocks');
});

const treeOfOne = (): TarEntry => {
  let seen: TarEntry | undefined;
  const parser = new TarParser({
    entry: (entry) => (seen = entry),
    data: () => undefined,
    entryEnd: () => undefined,
  });
  parser.push(tarOf(file("one", "1")));
  if (seen === undefined) throw new Error("no entry");
  return seen;
};
