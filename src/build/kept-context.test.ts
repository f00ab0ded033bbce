import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";

import type { FileFacts } from "#build/kept-context.ts";
import { KeptContexts } from "#build/kept-contexts.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(`${tmpdir()}/naru-kept-`);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const file = (
  path: string,
  content: string,
  modifiedNs = "1000",
): FileFacts & { content: string } => ({
  path,
  kind: "file",
  mode: 0o644,
  uid: 0,
  gid: 0,
  sizeBytes: content.length,
  modifiedNs,
  link: "",
  content,
});
const folder = (path: string): FileFacts => ({ ...file(path, ""), kind: "directory", mode: 0o755 });
const symlink = (path: string, link: string): FileFacts => ({
  ...file(path, ""),
  kind: "symlink",
  link,
});

/** What was asked for. */
const sync = (kept: KeptContexts, facts: readonly FileFacts[]) => {
  const tree = kept.open("ab")!;
  const asked: string[] = [];
  for (const one of facts) {
    if (!tree.take(one)) continue;
    asked.push(one.path);
    if ("content" in one && one.content !== "")
      tree.write(one.path, Buffer.from(String(one.content)));
    tree.close(one.path);
  }
  const context = tree.finish();
  context[Symbol.dispose]();
  return { asked, context };
};

test("only what has changed is asked for, and what is gone goes", () => {
  const kept = new KeptContexts(directory);
  const before = [folder("d"), file("d/a", "one"), file("d/b", "two"), symlink("l", "d/a")];
  expect(sync(kept, before).asked).toEqual(["d/a", "d/b"]);
  const again = sync(kept, before);
  expect(again.asked).toEqual([]);
  expect([...again.context.digests.keys()]).toEqual(["d/a", "d/b"]);
  const after = sync(kept, [folder("d"), file("d/a", "new!", "2000")]);
  expect(after.asked).toEqual(["d/a"]);
  expect(readFileSync(`${after.context.root}/d/a`, "utf8")).toBe("new!");
  expect(readdirSync(after.context.root)).toEqual(["d"]);
  expect(readdirSync(`${after.context.root}/d`)).toEqual(["a"]);
});

test("a directory becomes a file and back", () => {
  const kept = new KeptContexts(directory);
  sync(kept, [folder("x"), folder("x/y"), file("x/y/z", "deep")]);
  const { context } = sync(kept, [file("x", "flat")]);
  expect(readFileSync(`${context.root}/x`, "utf8")).toBe("flat");
  sync(kept, [folder("x"), file("x/z", "1")]);
  expect(readFileSync(`${context.root}/x/z`, "utf8")).toBe("1");
});

test("modes are set, hard links share, and a file that grew meanwhile is asked for again", () => {
  const kept = new KeptContexts(directory);
  const facts = [
    { ...file("a", "12345"), mode: 0o4755 },
    { ...file("b", ""), kind: "hardlink" as const, link: "a" },
  ];
  const { context } = sync(kept, facts);
  expect(statSync(`${context.root}/b`).ino).toBe(statSync(`${context.root}/a`).ino);
  expect(statSync(`${context.root}/a`).mode & 0o7777).toBe(0o4755);
  expect(sync(kept, facts).asked).toEqual([]);
  const grown = { ...file("c", "12345"), sizeBytes: 3 };
  expect(sync(kept, [...facts, grown]).asked).toEqual(["c"]);
  expect(sync(kept, [...facts, grown]).asked).toEqual(["c"]);
});

test("a tree that was left half-way starts empty", () => {
  const kept = new KeptContexts(directory);
  sync(kept, [file("a", "one")]);
  const tree = kept.open("ab")!;
  expect(tree.take(file("b", "two"))).toBe(true);
  tree.write("b", Buffer.from("t"));
  tree.abandon();
  expect(existsSync(`${directory}/ab.json`)).toBe(false);
  expect(sync(kept, [file("a", "one")]).asked).toEqual(["a"]);
});

test("one build at a time has a tree", () => {
  const kept = new KeptContexts(directory);
  const tree = kept.open("ab")!;
  expect(kept.open("ab")).toBeUndefined();
  tree.abandon();
  expect(kept.open("ab")).toBeDefined();
});

test("nothing leads out of the tree", () => {
  const kept = new KeptContexts(directory);
  const refused = (...facts: FileFacts[]): void => {
    const tree = kept.open("ab")!;
    expect(() => facts.forEach((one) => tree.take(one))).toThrow();
    tree.abandon();
  };
  refused(file("../x", ""));
  refused(file("/x", ""));
  refused(file("a/../../x", ""));
  refused(symlink("l", "/etc"), file("l/passwd", ""));
  refused(file("a/b", ""));
  refused({ ...file("h", ""), kind: "hardlink", link: "../../etc/passwd" });
  refused(file("a", ""), file("a", ""));
});
