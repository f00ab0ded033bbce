import { expect, test } from "bun:test";

import { OutputFiles } from "#build/output-files.ts";
import type { ResultFiles, ResultNode } from "#build/result-files.ts";

const node = (path: string, more: Partial<ResultNode> = {}): ResultNode => ({
  path,
  goMode: 0o644,
  uid: 1,
  gid: 2,
  sizeBytes: 3,
  modifiedNs: 4n,
  link: "",
  ...more,
});

/** As much of a result as is read here. */
const result = (nodes: readonly ResultNode[]): ResultFiles =>
  ({
    nodes: () => nodes.values(),
    read: (path: string) => [Buffer.from(`content of ${path}`)].values(),
  }) as never;

const textOf = (files: OutputFiles, path: string): string =>
  Buffer.concat([...files.read(path)]).toString();

test("documents stand in the order of names, and in place of a file of theirs", () => {
  const nodes = [node("a"), node("p.json"), node("q", { goMode: 2 ** 31 + 0o755 }), node("q/x")];
  const documents = [
    { name: "z.json", text: "zz" },
    { name: "p.json", text: "pp" },
  ];
  const files = new OutputFiles([{ directory: "", files: result(nodes), documents }], 7);
  expect([...files.nodes()].map(({ path }) => path)).toEqual(["a", "p.json", "q", "q/x", "z.json"]);
  expect([...files.nodes()][1]).toMatchObject({ goMode: 0o600, modifiedNs: 7_000_000_000n });
  expect(textOf(files, "p.json")).toBe("pp");
  expect(textOf(files, "q/x")).toBe("content of q/x");
});

test("each part lies in its directory, links between files with it", () => {
  const nodes = [
    node("a"),
    node("b", { link: "a" }),
    node("c", { link: "a", goMode: 2 ** 27 + 0o777 }),
  ];
  const part = (directory: string) => ({ directory, files: result(nodes), documents: [] });
  const files = new OutputFiles([part("two"), part("one")], 7);
  const told = [...files.nodes()].map(({ path, link }) => [path, link]);
  expect(told).toEqual([
    ["one", ""],
    ["one/a", ""],
    ["one/b", "one/a"],
    ["one/c", "a"],
    ["two", ""],
    ["two/a", ""],
    ["two/b", "two/a"],
    ["two/c", "a"],
  ]);
  expect(textOf(files, "two/a")).toBe("content of a");
});
