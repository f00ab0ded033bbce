/** A copy packed as a layer's tar: byte for byte what the same copy into a writable snapshot is summed up as. */
import { expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  closeSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { packCopyPlan } from "#build/op/copy-pack.ts";
import type { CopyPlan } from "#build/op/copy-plan.ts";
import { runCopyPlan } from "#build/op/copy-tree.ts";
import { ProgressTeller, sumByProgress } from "#build/op/tar-progress.ts";
import { packDiff } from "#snapshot/diff.ts";
import { IndexWriter } from "#snapshot/index-writer.ts";
import { INDEX_FILE, TAR_FILE } from "#snapshot/layer-form.ts";
import { clampTimes } from "#snapshot/seal.ts";
import { type TestStore, testStore } from "#snapshot/store-fixture.fake.ts";
import { directory, file, symlink } from "#snapshot/tar-fixture.fake.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";

const LOWER = [
  directory("app/", { mode: 0o750, uid: 5, xattrs: { "user.app": "a" } }),
  file("app/old", "old"),
  directory("app/empty/"),
  directory("app/sub/"),
  file("app/sub/below", "below"),
  directory("opt/"),
  symlink("link", "opt"),
  file("plain", "plain"),
  directory("usr/"),
  directory("usr/src/", { mode: 0o2755, gid: 7 }),
  directory("usr/src/deep/"),
];

/** Everything that is written now says this; what has a time of its own is older. */
const NOW_SECONDS = 1_400_000_000;

const sourceOf = (t: TestStore, change: (root: string) => void = () => undefined): void => {
  const root = `${t.directory}/source`;
  mkdirSync(`${root}/sub/inner`, { recursive: true });
  mkdirSync(`${root}/z`);
  mkdirSync(`${root}/empty`, { mode: 0o755 });
  writeFileSync(`${root}/old`, "new");
  writeFileSync(`${root}/Afile`, "x".repeat(700_000));
  writeFileSync(`${root}/sub/inner/f`, "f");
  writeFileSync(`${root}/sub/none`, "");
  writeFileSync(`${root}/sub/${"long".repeat(40)}`, "a long name");
  writeFileSync(`${root}/한글`, "a name in other letters");
  writeFileSync(`${root}/z/tool`, "tool");
  linkSync(`${root}/z/tool`, `${root}/z/tool-too`);
  chownSync(`${root}/z/tool`, 12, 13);
  chmodSync(`${root}/z/tool`, 0o4755);
  chmodSync(`${root}/z`, 0o2701);
  symlinkSync("nowhere", `${root}/dangling`);
  t.kernel.setXattr(`${root}/z/tool`, "user.note", Buffer.from("n"));
  t.kernel.setXattr(`${root}/z`, "user.directory", Buffer.from("d"));
  const fd = t.kernel.openInRoot(root, ".", 0);
  t.kernel.mknodAt(fd, "fifo", 0o010640, 0, 0);
  t.kernel.close(fd);
  change(root);
  readdirSync(root, { recursive: true }).forEach((path, index) =>
    lutimesSync(`${root}/${String(path)}`, 1_000_000_000 + index, 1_000_000_000 + index),
  );
};

type Items = readonly Partial<CopyPlan["items"][number]>[];

const planOn = (
  t: TestStore,
  targetRoot: string,
  items: Items,
  plan: Partial<CopyPlan>,
): CopyPlan => {
  const base = {
    root: `${t.directory}/source`,
    path: "",
    target: "",
    isUnpacked: false,
    ignored: [],
  };
  return { targetRoot, items: items.map((item) => ({ ...base, ...item })), ...plan };
};

const written = async (
  t: TestStore,
  parent: Digest,
  items: Items,
  plan: Partial<CopyPlan>,
): Promise<Buffer> => {
  const { upper } = t.store.prepare("copy", parent);
  await runCopyPlan(t.kernel, planOn(t, t.store.mount("copy", true), items, plan));
  t.store.unmount("copy");
  clampTimes(t.kernel, upper, NOW_SECONDS);
  using lower = t.store.view(parent);
  const input = { kernel: t.kernel, upper, lower: lower.path };
  return Buffer.concat([...packDiff(input, { sizeBytes: 0 })]);
};

/** Both files of the layer; the index as it is made of the tar alone. */
const packed = (t: TestStore, parent: Digest, items: Items, plan: Partial<CopyPlan>): Buffer => {
  using lower = t.store.view(parent);
  const made = `${t.directory}/made`;
  const maxEntries = 1_000;
  using index = new IndexWriter({ directory: made, maxEntries });
  const onEntry = index.entry.bind(index);
  const options = { onEntry, mtimeMaxSeconds: NOW_SECONDS };
  for (const chunk of packCopyPlan(t.kernel, planOn(t, lower.path, items, plan), options)) {
    index.append(chunk);
  }
  const told = index.finish();
  const tar = readFileSync(`${made}/${TAR_FILE}`);
  using parsed = new IndexWriter({ directory: `${t.directory}/parsed`, maxEntries });
  parsed.push(tar);
  expect(parsed.finish()).toEqual(told as NonNullable<typeof told>);
  const [mine, other] = [made, `${t.directory}/parsed`].map((at) =>
    readFileSync(`${at}/${INDEX_FILE}`),
  );
  expect(mine?.equals(other as Buffer)).toBe(true);
  return tar;
};

const SAME: readonly [string, Items, Partial<CopyPlan>?][] = [
  ["a whole context into a new directory", [{ target: "src" }]],
  ["a whole context into new directories below an old one", [{ target: "usr/src/a/b" }]],
  ["a whole context into an old directory", [{ target: "app" }]],
  ["a whole context deep in old directories", [{ target: "usr/src/deep" }]],
  ["a whole context into the root", [{ target: "" }]],
  ["a directory that gives the new one its attributes", [{ path: "z", target: "new/z" }]],
  ["a directory into an old one", [{ path: "sub", target: "app/sub" }]],
  ["an empty directory", [{ path: "empty", target: "new" }]],
  ["an empty directory that is there already", [{ path: "empty", target: "app/empty" }]],
  ["nothing into an old directory", [{ target: "app", ignored: ["**"] }]],
  ["one file", [{ path: "z/tool", target: "bin/tool" }]],
  ["one file over another", [{ path: "z/tool", target: "app/old" }]],
  ["one file over a symlink", [{ path: "z/tool", target: "link" }]],
  [
    "a context without some files",
    [{ target: "app", ignored: ["Afile", "z", "z/tool", "z/tool-too"] }],
  ],
  [
    "with another owner and mode",
    [{ target: "app" }],
    { owner: { uid: 3, gid: 4 }, chmod: "u=rwX" },
  ],
  ["as root's", [{ target: "s" }], { owner: { uid: 0, gid: 0 } }],
  ["with one time for all", [{ target: "app" }], { mtimeSeconds: 77 }],
  ["a new directory with one time for all", [{ path: "z", target: "s" }], { mtimeSeconds: 77 }],
];

for (const [name, items, plan = {}] of SAME) {
  test(`${name}: packed as it would be written`, async () => {
    await using t = testStore();
    sourceOf(t);
    const all = items.map((item) =>
      item.ignored?.[0] === "**"
        ? {
            ...item,
            ignored: readdirSync(`${t.directory}/source`, { recursive: true }).map(String),
          }
        : item,
    );
    const parent = await t.stack(LOWER);
    const wanted = await written(t, parent, all, plan);
    expect(packed(t, parent, all, plan).equals(wanted)).toBe(true);
  });
}

const UNSUITED: readonly [string, Items, ((root: string) => void)?, Partial<CopyPlan>?][] = [
  ["several sources", [{ target: "a" }, { target: "b" }]],
  ["a way through a symlink", [{ target: "link/in" }]],
  ["a file in the way of a directory", [{ target: "plain" }]],
  ["a directory in the way of a file", [{ path: "old", target: "app/sub" }]],
  ["a symlink in the way of a directory", [{ target: "" }], (root) => mkdirSync(`${root}/link`)],
  ["something in a directory that is left out", [{ target: "s", ignored: ["sub/inner"] }]],
  ["one time for new directories", [{ target: "a/b" }], () => undefined, { mtimeSeconds: 77 }],
  [
    "a name that would be a whiteout",
    [{ target: "app" }],
    (root) => writeFileSync(`${root}/.wh.old`, ""),
  ],
  ["an archive", [{ path: "old", target: "s", isUnpacked: true }]],
];

for (const [name, items, change, plan = {}] of UNSUITED) {
  test(`${name}: not packed`, async () => {
    await using t = testStore();
    sourceOf(t, change);
    const parent = await t.stack(LOWER);
    using lower = t.store.view(parent);
    const chunks = packCopyPlan(t.kernel, planOn(t, lower.path, items, plan));
    expect(() => [...chunks]).toThrow("cannot be packed");
  });
}

const told = (t: TestStore, tell: (fd: number) => void): ReturnType<typeof sumByProgress> => {
  const path = `${t.directory}/progress`;
  const out = openSync(path, "w");
  tell(out);
  closeSync(out);
  const fd = openSync(path, "r");
  try {
    return sumByProgress(`${t.directory}/tar`, fd);
  } finally {
    closeSync(fd);
  }
};

test("a tar is summed up as its writer tells, and not without its end", async () => {
  await using t = testStore();
  const bytes = Buffer.alloc(3_000_000, "tar");
  writeFileSync(`${t.directory}/tar`, bytes);
  const whole = told(t, (fd) => {
    const teller = new ProgressTeller(fd);
    for (let at = 0; at < bytes.length; at += 100_000) teller.wrote(100_000);
    teller.end();
  });
  expect(whole).toEqual({ diffId: digestOf(bytes), tarBytes: bytes.length });
  expect(told(t, (fd) => new ProgressTeller(fd).wrote(2_000_000))).toEqual({});
  expect(told(t, () => undefined)).toEqual({});
});
