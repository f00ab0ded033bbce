import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";

import type { FileFacts } from "#build/kept-context.ts";
import { fileKernel } from "#kernel/file.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import { KeptContexts } from "#build/kept-contexts.ts";

let directory = "";
/** What was set where: not every file system has attributes. */
let set: string[] = [];
const kernel: FileKernel = {
  ...fileKernel,
  setXattr: (path: string, name: string, value: Uint8Array): void => {
    set.push(`${path.split("/").at(-1)} ${name} ${Buffer.from(value).toString()}`);
  },
};
beforeEach(() => {
  set = [];
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
const sync = async (kept: KeptContexts, facts: readonly FileFacts[]) => {
  const tree = (await kept.open("ab"))!;
  const asked: string[] = [];
  for (const one of facts) {
    if (!tree.take(one)) continue;
    asked.push(one.path);
    if ("content" in one && one.content !== "")
      tree.write(one.path, Buffer.from(String(one.content)));
    tree.close(one.path);
  }
  const context = await tree.finish();
  context[Symbol.dispose]();
  return { asked, context };
};

test("only what has changed is asked for, and what is gone goes", async () => {
  const kept = new KeptContexts(directory, kernel);
  const before = [folder("d"), file("d/a", "one"), file("d/b", "two"), symlink("l", "d/a")];
  expect((await sync(kept, before)).asked).toEqual(["d/a", "d/b"]);
  const again = await sync(kept, before);
  expect(again.asked).toEqual([]);
  expect([...again.context.digests.keys()]).toEqual(["d/a", "d/b"]);
  const after = await sync(kept, [folder("d"), file("d/a", "new!", "2000")]);
  expect(after.asked).toEqual(["d/a"]);
  expect(readFileSync(`${after.context.root}/d/a`, "utf8")).toBe("new!");
  expect(readdirSync(after.context.root)).toEqual(["d"]);
  expect(readdirSync(`${after.context.root}/d`)).toEqual(["a"]);
});

test("a tree that is as it was keeps its list, and no change goes without", async () => {
  const kept = new KeptContexts(directory, kernel);
  const list = `${directory}/ab.json`;
  const facts = [file("a", "one"), file("b", "two")];
  await sync(kept, facts);
  await Bun.sleep(5);
  const { ino, mtimeMs } = statSync(list);
  const opened = async (...more: readonly FileFacts[]): Promise<boolean> => {
    const tree = (await kept.open("ab"))!;
    for (const one of more) tree.take(one);
    const isListed = existsSync(list);
    tree.abandon();
    await sync(kept, facts);
    return isListed;
  };
  await sync(kept, facts);
  expect(statSync(list).ino).toBe(ino);
  expect(statSync(list).mtimeMs).toBeGreaterThan(mtimeMs);
  expect(await opened(...facts)).toBe(true);
  expect(await opened(file("a", "one"), file("b", "three"))).toBe(false);
  const tree = (await kept.open("ab"))!;
  tree.take(file("a", "one"));
  const context = await tree.finish();
  context[Symbol.dispose]();
  await Bun.sleep(5);
  expect(readFileSync(list, "utf8")).not.toContain('"b"');
});

test("a directory becomes a file and back", async () => {
  const kept = new KeptContexts(directory, kernel);
  await sync(kept, [folder("x"), folder("x/y"), file("x/y/z", "deep")]);
  const { context } = await sync(kept, [file("x", "flat")]);
  expect(readFileSync(`${context.root}/x`, "utf8")).toBe("flat");
  await sync(kept, [folder("x"), file("x/z", "1")]);
  expect(readFileSync(`${context.root}/x/z`, "utf8")).toBe("1");
});

test("modes are set, hard links share, and a file that grew meanwhile is asked for again", async () => {
  const kept = new KeptContexts(directory, kernel);
  const facts = [
    { ...file("a", "12345"), mode: 0o4755 },
    { ...file("b", ""), kind: "hardlink" as const, link: "a" },
  ];
  const { context } = await sync(kept, facts);
  expect(statSync(`${context.root}/b`).ino).toBe(statSync(`${context.root}/a`).ino);
  expect(statSync(`${context.root}/a`).mode & 0o7777).toBe(0o4755);
  expect((await sync(kept, facts)).asked).toEqual([]);
  const grown = { ...file("c", "12345"), sizeBytes: 3 };
  expect((await sync(kept, [...facts, grown])).asked).toEqual(["c"]);
  expect((await sync(kept, [...facts, grown])).asked).toEqual(["c"]);
});

test("a tree that was left half-way starts empty", async () => {
  const kept = new KeptContexts(directory, kernel);
  await sync(kept, [file("a", "one")]);
  const tree = (await kept.open("ab"))!;
  expect(tree.take(file("b", "two"))).toBe(true);
  tree.write("b", Buffer.from("t"));
  tree.abandon();
  expect(existsSync(`${directory}/ab.json`)).toBe(false);
  expect((await sync(kept, [file("a", "one")])).asked).toEqual(["a"]);
});

test("one build at a time has a tree", async () => {
  const kept = new KeptContexts(directory, kernel);
  const tree = (await kept.open("ab"))!;
  expect(await kept.open("ab")).toBeUndefined();
  tree.abandon();
  expect(await kept.open("ab")).toBeDefined();
});

test("nothing leads out of the tree", async () => {
  const kept = new KeptContexts(directory, kernel);
  const refused = async (...facts: FileFacts[]): Promise<void> => {
    const tree = (await kept.open("ab"))!;
    expect(() => facts.forEach((one) => tree.take(one))).toThrow();
    tree.abandon();
  };
  await refused(file("../x", ""));
  await refused(file("/x", ""));
  await refused(file("a/../../x", ""));
  await refused(symlink("l", "/etc"), file("l/passwd", ""));
  await refused(file("a/b", ""));
  await refused({ ...file("h", ""), kind: "hardlink", link: "../../etc/passwd" });
  await refused(file("a", ""), file("a", ""));
});

test("extended attributes come along, and a change of theirs counts", async () => {
  const kept = new KeptContexts(directory, kernel);
  const marked = (value: string): FileFacts => ({
    ...file("a", "x"),
    xattrs: { "user.mark": Buffer.from(value).toString("base64") },
  });
  await sync(kept, [marked("one")]);
  expect((await sync(kept, [marked("one")])).asked).toEqual([]);
  expect(set).toEqual(["a user.mark one"]);
  expect((await sync(kept, [marked("two")])).asked).toEqual(["a"]);
  expect(set.at(-1)).toBe("a user.mark two");
});

test("a list of many entries is read again as it was written", async () => {
  const kept = new KeptContexts(directory, kernel);
  const facts = Array.from({ length: 3000 }, (_, index) => file(`f${index}\u2028"`, "1"));
  expect((await sync(kept, facts)).asked).toHaveLength(3000);
  expect((await sync(kept, facts)).asked).toEqual([]);
});

test("kept trees are records with their sizes, and go one by one", async () => {
  const kept = new KeptContexts(directory, kernel);
  await sync(kept, [file("a", "12345")]);
  const tree = (await kept.open("cd"))!;
  const items = await kept.list();
  expect(items.map(({ id, kind, isInUse }) => [id, kind, isInUse])).toEqual([
    ["ab", "source.local", false],
    ["cd", "source.local", true],
  ]);
  expect(items[0]?.sizeBytes).toBe(5);
  expect(kept.remove("cd")).toBe(false);
  tree.abandon();
  expect(kept.remove("ab")).toBe(true);
  expect(await kept.list()).toEqual([]);
});
