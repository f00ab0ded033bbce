/**
 * Copies by chance, in all ways that a build knows: files made and walked, packed without the files, summed up beside
 * the writer. What the ways give must be the same to the byte. A case that fails names its seed.
 */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { differences } from "#build/op/copy-cases.fake.ts";
import type { CopyPlan } from "#build/op/copy-plan.ts";
import {
  type PackedWay,
  type Refusal,
  type WrittenWay,
  packedWay,
  writtenWay,
} from "#build/op/copy-ways.fake.ts";
import { encodeName } from "#lib/tar/name-bytes.ts";
import { type TestStore, testStore } from "#snapshot/store-fixture.fake.ts";
import { directory, symlink } from "#snapshot/tar-fixture.fake.ts";
import type { Digest } from "#spec/image/digest.ts";

const bothWays = async (
  t: TestStore,
  parent: Digest,
  root: string,
  target: string,
): Promise<[WrittenWay, PackedWay | Refusal]> => {
  const items = [{ root, path: "", target, isUnpacked: false, ignored: [] }];
  const planOn = (targetRoot: string): CopyPlan => ({ targetRoot, items });
  const maxSeconds = 1_400_000_000;
  const written = await writtenWay(t, parent, planOn, { maxSeconds, isTold: false });
  if ("refused" in written) throw new Error(written.refused);
  return [written, await packedWay(t, parent, planOn, maxSeconds)];
};

const ROUNDS = 30;
const COPIES = 10;

test("random copies give the same layer and tree in all ways", async () => {
  const all = { packed: 0, beside: 0, refused: 0 };
  for (let seed = 1; seed <= ROUNDS; seed++) {
    const { found, counts } = await differences(seed, COPIES);
    expect(found).toEqual([]);
    for (const key of ["packed", "beside", "refused"] as const) all[key] += counts[key];
  }
  // Else the cases say little.
  expect(all.packed).toBeGreaterThan(ROUNDS);
  expect(all.beside).toBeGreaterThan(ROUNDS / 2);
  expect(all.refused).toBeLessThan((ROUNDS * COPIES) / 2);
}, 120_000);

test("a name that is not UTF-8 is copied as it is", async () => {
  await using t = testStore("erofs");
  const root = `${t.directory}/source`;
  mkdirSync(root);
  writeFileSync(Buffer.from(encodeName(`${root}/bad\udcff`)), "content");
  const parent = await t.stack([directory("app/")]);
  const [written, packed] = await bothWays(t, parent, root, "app");
  expect(written.lines).toContainEqual(expect.stringContaining(String.raw`"app/bad\udcff"`));
  expect(packed).toMatchObject({ tar: written.tar, lines: written.lines, isIndexSame: true });
});

test("a symlink that stands for a copied directory gets none of its attributes", async () => {
  await using t = testStore("erofs");
  const root = `${t.directory}/source`;
  mkdirSync(`${root}/link`, { recursive: true });
  writeFileSync(`${root}/link/file`, "content");
  t.kernel.setXattr(`${root}/link`, "user.note", Buffer.from("n"));
  const parent = await t.stack([directory("opt/"), symlink("link", "opt")]);
  const [written, packed] = await bothWays(t, parent, root, "");
  expect(packed).toHaveProperty("refused");
  expect(written.lines.join("\n")).toContain('"opt/file"');
  expect(written.lines.join("\n")).not.toContain("user.note");
});

test("a directory that is copied to has a new time, even if only what is deeper is new", async () => {
  await using t = testStore("erofs");
  const root = `${t.directory}/source`;
  mkdirSync(`${root}/sub`, { recursive: true });
  writeFileSync(`${root}/sub/file`, "content");
  const mtime = { seconds: 1_000_000_000, nanoseconds: 0 };
  const parent = await t.stack([directory("app/", { mtime }), directory("app/sub/")]);
  const [written, packed] = await bothWays(t, parent, root, "app");
  expect(packed).toMatchObject({ tar: written.tar });
});
