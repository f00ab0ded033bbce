/** Sums taken while a copy tells of itself: the same as those of the finished tree, or none. */
import { expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { CopyTeller } from "#build/op/copy-teller.ts";
import type { CopyPlan } from "#build/op/copy-plan.ts";
import { runCopyPlan } from "#build/op/copy-tree.ts";
import { sumDiff } from "#snapshot/seal.ts";
import type { DiffTarResult } from "#snapshot/snapshot.ts";
import { type TestStore, testStore } from "#snapshot/store-fixture.fake.ts";
import { type Told, sumBeside } from "#snapshot/sum-beside.ts";
import { directory, file, symlink } from "#snapshot/tar-fixture.fake.ts";

const LOWER = [
  directory("app/", { mode: 0o750, uid: 5 }),
  file("app/old", "old"),
  directory("app/empty/"),
  directory("app/sub/"),
  directory("opt/"),
  symlink("link", "opt"),
  directory("usr/"),
  directory("usr/src/"),
  directory("usr/src/deep/"),
];

interface Sums {
  readonly beside: DiffTarResult | undefined;
  readonly after: DiffTarResult;
}

const sourceOf = (t: TestStore): string => {
  const root = `${t.directory}/source`;
  mkdirSync(`${root}/sub/inner`, { recursive: true });
  mkdirSync(`${root}/z`);
  writeFileSync(`${root}/old`, "new");
  writeFileSync(`${root}/Afile`, "x".repeat(300_000));
  writeFileSync(`${root}/sub/inner/f`, "f");
  writeFileSync(`${root}/sub/none`, "");
  writeFileSync(`${root}/z/tool`, "tool");
  chownSync(`${root}/z/tool`, 12, 13);
  chmodSync(`${root}/z/tool`, 0o4755);
  chmodSync(`${root}/z`, 0o2701);
  symlinkSync("nowhere", `${root}/dangling`);
  t.kernel.setXattr(`${root}/z/tool`, "user.note", Buffer.from("n"));
  return root;
};

/** Copies into a writable snapshot on `LOWER`, and sums up in both ways. */
const sumsOf = async (
  t: TestStore,
  items: readonly Partial<CopyPlan["items"][number]>[],
  plan: Partial<CopyPlan> = {},
): Promise<Sums> => {
  const parent = await t.stack(LOWER);
  const { upper } = t.store.prepare("copy", parent);
  const lines = `${t.directory}/lines`;
  const out = openSync(lines, "w");
  const whole = items.map((item) => ({
    root: `${t.directory}/source`,
    path: "",
    target: "",
    isUnpacked: false,
    ignored: [],
    ...item,
  }));
  const targetRoot = t.store.mount("copy", true);
  await runCopyPlan(t.kernel, { targetRoot, items: whole, ...plan }, new CopyTeller(out));
  closeSync(out);
  const told = openSync(lines, "r");
  const beside = sumBeside(t.kernel, upper, told);
  closeSync(told);
  t.store.unmount("copy");
  using lower = t.store.view(parent);
  return { beside, after: sumDiff({ kernel: t.kernel, upper, lower: lower.path }) };
};

const SUMMED: readonly [
  string,
  readonly Partial<CopyPlan["items"][number]>[],
  Partial<CopyPlan>?,
][] = [
  ["a whole context into a new directory", [{ target: "src" }]],
  ["a whole context into new directories below an old one", [{ target: "usr/src/a/b" }]],
  ["a whole context into an old directory", [{ target: "app" }]],
  ["a whole context deep in old directories", [{ target: "usr/src/deep" }]],
  ["a whole context into the root", [{ target: "" }]],
  ["a directory that gives the new one its attributes", [{ path: "z", target: "new" }]],
  ["an empty directory", [{ path: "sub", target: "new", ignored: ["inner", "none", "inner/f"] }]],
  ["one file", [{ path: "z/tool", target: "bin/tool" }]],
  ["with another owner and mode", [{ target: "s" }], { owner: { uid: 3, gid: 4 }, chmod: "u=rwX" }],
];

for (const [name, items, plan] of SUMMED) {
  test(`${name}: summed up beside`, async () => {
    await using t = testStore("directory");
    sourceOf(t);
    const { beside, after } = await sumsOf(t, items, plan);
    expect(beside).toEqual(after);
  });
}

const NOT_SUMMED: readonly [string, string, (root: string) => void][] = [
  [
    "a directory without content that is there already",
    "app",
    (root) => mkdirSync(`${root}/empty`),
  ],
  ["a hard link", "src", (root) => linkSync(`${root}/old`, `${root}/older`)],
  ["a way through a symlink", "link", () => undefined],
];

for (const [name, target, prepare] of NOT_SUMMED) {
  test(`${name} is left to the sum of the finished tree`, async () => {
    await using t = testStore("directory");
    prepare(sourceOf(t));
    const { beside, after } = await sumsOf(t, [{ target }]);
    expect(beside).toBeUndefined();
    expect(after.tarBytes).toBeGreaterThan(300_000);
  });
}

test("several sources into one directory are left to the sum of the finished tree", async () => {
  await using t = testStore("directory");
  sourceOf(t);
  for (const target of ["new", "app"]) {
    const items = ["sub", "z"].map((path) => ({ path, target }));
    const { beside, after } = await sumsOf(t, items);
    expect(beside).toBeUndefined();
    expect(after.tarBytes).toBeGreaterThan(0);
    t.store.remove("copy");
  }
});

const summedLines = (t: TestStore, told: readonly Told[]): DiffTarResult | undefined => {
  const upper = `${t.directory}/upper`;
  mkdirSync(`${upper}/d`, { recursive: true });
  writeFileSync(`${upper}/d/f`, "f");
  writeFileSync(`${t.directory}/lines`, told.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const fd = openSync(`${t.directory}/lines`, "r");
  try {
    return sumBeside(t.kernel, upper, fd);
  } finally {
    closeSync(fd);
  }
};

test("what is told counts only where the tree is so at the end", async () => {
  await using t = testStore("directory");
  expect(summedLines(t, [{ path: "d/f" }, { end: true }])).toBeDefined();
  const directory = { mode: 0o040700, uid: 0, gid: 0, mtime: 1 };
  const wrong = { path: "d", directory, isOld: false };
  expect(summedLines(t, [wrong, { path: "d/f" }, { end: true }])).toBeUndefined();
  expect(summedLines(t, [{ end: true }])).toBeUndefined();
  expect(summedLines(t, [{ path: "gone" }, { path: "d/f" }, { end: true }])).toBeUndefined();
  expect(summedLines(t, [{ path: "d/f" }, { odd: true }, { end: true }])).toBeUndefined();
  expect(summedLines(t, [{ path: "d/f" }, { path: "d/f" }, { end: true }])).toBeUndefined();
});

test("a writer that ended before its end leaves no sum", async () => {
  await using t = testStore("directory");
  expect(() => summedLines(t, [{ path: "d/f" }])).toThrow("ended before its end");
});
