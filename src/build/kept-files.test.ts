import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
} from "node:fs";
import { createHash } from "node:crypto";
import { unpackPlain } from "#build/context.ts";
import { KeptContexts } from "#build/kept-contexts.ts";
import { fileKernel } from "#kernel/file.ts";
import { NO_XATTRS, type TarEntry, type TarEntryType } from "#lib/tar/entry.ts";
import { TAR_END, tarHeader, tarPadding } from "#lib/tar/writer.ts";

const base = mkdtempSync("/tmp/naru-kept-files-");
beforeAll(() => mkdirSync(`${base}/outside`));
afterAll(() => rmSync(base, { recursive: true, force: true }));

interface Given {
  readonly type?: TarEntryType;
  readonly text?: string;
  readonly mode?: number;
  readonly link?: string;
}

/** By name; a name with a closing slash is a directory. */
const tarOf = (entries: readonly (readonly [name: string, given: Given])[]): Uint8Array => {
  const parts: Uint8Array[] = [];
  for (const [name, { type, text = "", mode, link = "" }] of entries) {
    const kind = type ?? (name.endsWith("/") ? "directory" : "file");
    const entry: TarEntry = {
      type: kind,
      name,
      linkName: link,
      mode: mode ?? (kind === "directory" ? 0o755 : 0o644),
      uid: 0,
      gid: 0,
      userName: "",
      groupName: "",
      size: kind === "file" ? text.length : 0,
      mtime: { seconds: 1_700_000_000, nanoseconds: 0 },
      deviceMajor: 0,
      deviceMinor: 0,
      xattrs: NO_XATTRS,
    };
    parts.push(tarHeader(entry));
    if (kind === "file") parts.push(Buffer.from(text), tarPadding(text.length));
  }
  return Buffer.concat([...parts, TAR_END]);
};

let count = 0;
const treeFor = () => {
  count += 1;
  const root = `${base}/${String(count)}`;
  mkdirSync(root);
  const listPath = `${root}.json`;
  const receive = (...entries: Parameters<typeof tarOf>[0][number][]) =>
    unpackPlain(fileKernel, root, tarOf(entries), [], listPath).digests;
  return { root, listPath, receive };
};

const sha = (text: string): string => createHash("sha256").update(text).digest("hex");
const inode = (path: string): number => lstatSync(path).ino;

test("what is the same stays, what differs in its last byte is new, what is not named goes", () => {
  const { root, receive } = treeFor();
  const long = "x".repeat(3_000_000);
  receive(["d/", {}], ["d/same", { text: "same" }], ["big", { text: `${long}1` }], ["old", {}]);
  const [same, big] = [inode(`${root}/d/same`), inode(`${root}/big`)];
  const digests = receive(["d/", {}], ["d/same", { text: "same" }], ["big", { text: `${long}2` }]);
  expect(inode(`${root}/d/same`)).toBe(same);
  expect(inode(`${root}/big`)).not.toBe(big);
  expect(readFileSync(`${root}/big`, "utf8")).toBe(`${long}2`);
  expect(digests.get("big")).toBe(sha(`${long}2`));
  expect(digests.get("d/same")).toBe(sha("same"));
  expect(readdirSync(root).toSorted()).toEqual(["big", "d"]);
});

test("a changed mode counts, and a file that was taken away meanwhile comes back", () => {
  const { root, receive } = treeFor();
  receive(["run", { text: "run" }], ["gone", { text: "gone" }]);
  rmSync(`${root}/gone`);
  receive(["run", { text: "run", mode: 0o755 }], ["gone", { text: "gone" }]);
  expect(statSync(`${root}/run`).mode & 0o777).toBe(0o755);
  expect(readFileSync(`${root}/gone`, "utf8")).toBe("gone");
});

test("what lies in the tree but is not in its list is not trusted", () => {
  const { root, listPath, receive } = treeFor();
  receive(["a", { text: "one" }]);
  rmSync(listPath);
  receive(["b", { text: "two" }]);
  expect(readdirSync(root)).toEqual(["b"]);
});

test("a cut tar leaves no list", () => {
  const { root, listPath, receive } = treeFor();
  receive(["a", { text: "one" }]);
  const cut = tarOf([["a", { text: "one" }]]).subarray(0, 513);
  expect(() => unpackPlain(fileKernel, root, cut, [], listPath)).toThrow("cut short");
  expect(existsSync(listPath)).toBe(false);
});

test("kinds change places", () => {
  const { root, receive } = treeFor();
  receive(
    ["a/", {}],
    ["a/f", { text: "1" }],
    ["b", { text: "2" }],
    ["l", { type: "symlink", link: "b" }],
  );
  receive(["a", { text: "now a file" }], ["b/", {}], ["b/f", { text: "3" }], ["l", { text: "4" }]);
  expect(readFileSync(`${root}/a`, "utf8")).toBe("now a file");
  expect(readFileSync(`${root}/b/f`, "utf8")).toBe("3");
  expect(readFileSync(`${root}/l`, "utf8")).toBe("4");
});

test("nothing outside goes when a directory became a symlink that leads there", () => {
  const { root, receive } = treeFor();
  const outside = `${base}/outside`;
  Bun.spawnSync(["touch", `${outside}/f`]);
  receive(["a/", {}], ["a/f", { text: "1" }]);
  receive(["a", { type: "symlink", link: outside }]);
  expect(readlinkSync(`${root}/a`)).toBe(outside);
  expect(existsSync(`${outside}/f`)).toBe(true);
});

test("a path through a symlink is written as before, and such a tree is not trusted again", () => {
  const { root, listPath, receive } = treeFor();
  const entries = [
    ["d/", {}],
    ["l", { type: "symlink", link: "d" }],
    ["l/f", { text: "through" }],
  ] as const;
  for (let turn = 0; turn < 2; turn += 1) {
    receive(...entries);
    expect(readFileSync(`${root}/d/f`, "utf8")).toBe("through");
    expect(existsSync(listPath)).toBe(false);
  }
});

test("a directory that the tar does not name has the usual mode, whatever it had before", () => {
  const { root, receive } = treeFor();
  receive(["d/", { mode: 0o700 }], ["d/f", { text: "1" }]);
  receive(["d/f", { text: "1" }]);
  expect(statSync(`${root}/d`).mode & 0o777).toBe(0o755);
});

test("hard links are links again", () => {
  const { root, receive } = treeFor();
  for (const text of ["1", "2"]) {
    const digests = receive(["a", { text }], ["b", { type: "hard link", link: "a" }]);
    expect(inode(`${root}/b`)).toBe(inode(`${root}/a`));
    expect(digests.get("b")).toBe(sha(text));
  }
});

test("the same name twice: the last one counts", () => {
  const { root, receive } = treeFor();
  receive(["a", { text: "1" }]);
  const digests = receive(["a", { text: "1" }], ["a", { text: "2" }]);
  expect(readFileSync(`${root}/a`, "utf8")).toBe("2");
  expect(digests.get("a")).toBe(sha("2"));
  receive(["a", { text: "2" }], ["a", { text: "1" }]);
  expect(readFileSync(`${root}/a`, "utf8")).toBe("1");
});

test("a key's tree is one build's alone, few are kept, and pruning spares what is in use", async () => {
  const directory = `${base}/contexts`;
  const kept = new KeptContexts(directory, fileKernel);
  const first = kept.reserve("first");
  expect(kept.reserve("first")).toBeUndefined();
  for (let turn = 0; turn < 12; turn += 1) kept.reserve(`k${String(turn)}`)?.[Symbol.dispose]();
  const names = () => readdirSync(directory).filter((name) => !name.startsWith("gone-"));
  expect(names().length).toBeLessThanOrEqual(9);
  expect(names()).toContain("first");
  for (const { id } of await kept.list()) kept.remove(id);
  expect(names()).toEqual(["first"]);
  first?.[Symbol.dispose]();
  expect(kept.reserve("first")).toBeDefined();
});
