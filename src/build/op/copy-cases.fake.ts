/** Copies by chance on layers by chance, and how the ways of making them differ. */
import type { CopyItem, CopyPlan } from "#build/op/copy-plan.ts";
import { layerOf, packedWay, writtenWay } from "#build/op/copy-ways.fake.ts";
import { Dice, type RandomTree, randomTree } from "#build/op/random-tree.fake.ts";
import { splitPath } from "#snapshot/directory-cache.ts";
import { DIRECTORY_FLAGS, statOrGone } from "#snapshot/tree-walk.ts";
import { type TestStore, testStore } from "#snapshot/store-fixture.fake.ts";
import type { Digest } from "#spec/image/digest.ts";

const MODES = ["755", "0640", "4711", "u+x", "go-r", "a=r,u+w", "u=rwX,go=rX", "g=u", "u+s", "0"];
const OWNERS = [0, 5, 65_534, 2_097_152, 4_294_967_294];
/** Of SOURCE_DATE_EPOCH: before, among and after the times of the files. */
const EPOCHS = [0, 1_400_000_000, 1_400_000_000, 1_600_000_000];

const join = (...parts: readonly string[]): string => parts.filter((part) => part !== "").join("/");

interface Place {
  readonly root: string;
  readonly source: RandomTree;
  readonly lower: RandomTree;
  /** Known of the source, as a client's facts tell it. */
  readonly hasNoXattrs: boolean;
}

/** Each path with all below it, or alone. */
const ignoredOf = (dice: Dice, names: readonly string[]): string[] => {
  if (dice.once(2)) return [];
  const ignored = new Set<string>();
  for (const path of names) {
    if (!dice.once(6)) continue;
    const isAlone = dice.once(8);
    for (const other of names) {
      if (other === path || (!isAlone && other.startsWith(`${path}/`))) ignored.add(other);
    }
  }
  return [...ignored];
};

const randomItem = (dice: Dice, place: Place): CopyItem => {
  const { root, source, lower, hasNoXattrs } = place;
  const base = { root, isUnpacked: false, ignored: [], hasNoXattrs };
  const below = dice.once(8)
    ? dice.pick([...lower.others, ""])
    : dice.pick(dice.once(3) ? [""] : lower.directories);
  const directory = join(below, dice.pick(["", "", "", "new", "new/deep", "a", "b/c"]));
  if (dice.once(4) && source.others.length > 0) {
    const path = dice.pick(source.others);
    const name = dice.once(2) ? splitPath(path)[1] : dice.pick(["a", "b", "bad\udc80"]);
    return { ...base, path, target: join(directory, name) };
  }
  const path = dice.once(2) ? "" : dice.pick(source.directories);
  const all = [...source.directories, ...source.others].filter((one) => one !== path);
  const inside = all
    .filter((one) => path === "" || one.startsWith(`${path}/`))
    .map((one) => (path === "" ? one : one.slice(path.length + 1)));
  return { ...base, path, target: directory, ignored: ignoredOf(dice, inside) };
};

const randomPlan = (dice: Dice, place: Place): Omit<CopyPlan, "targetRoot"> => {
  const count = dice.once(8) ? 2 : 1;
  const items = Array.from({ length: count }, () => randomItem(dice, place));
  return {
    items,
    ...(dice.once(3) ? { owner: { uid: dice.pick(OWNERS), gid: dice.pick(OWNERS) } } : {}),
    ...(dice.once(3) ? { chmod: dice.pick(MODES) } : {}),
    ...(dice.once(6) ? { mtimeSeconds: dice.pick([0, 77, 1_450_000_000]) } : {}),
  };
};

/** What of a tree is in the layer that was made of it: sockets are not. */
const inLayer = (
  { kernel }: TestStore,
  root: string,
  { directories, others }: RandomTree,
): RandomTree => {
  const isThere = (path: string): boolean => {
    const [parent, name] = splitPath(path);
    const fd = kernel.openInRoot(root, parent || ".", DIRECTORY_FLAGS);
    try {
      return statOrGone(kernel, fd, name) !== undefined;
    } finally {
      kernel.close(fd);
    }
  };
  return { directories, others: others.filter(isThere) };
};

const comparisonOf = async (
  t: TestStore,
  parent: Digest,
  plan: Omit<CopyPlan, "targetRoot">,
  maxSeconds: number,
  isTold: boolean,
): Promise<{ found: string[]; kinds: Kind[] }> => {
  const planOn = (targetRoot: string): CopyPlan => ({ ...plan, targetRoot });
  const written = await writtenWay(t, parent, planOn, { maxSeconds, isTold });
  const packed = await packedWay(t, parent, planOn, maxSeconds);
  if ("refused" in written) {
    const found = "refused" in packed ? [] : [`packed, but not to be copied: ${written.refused}`];
    return { found, kinds: ["refused"] };
  }
  const kinds: Kind[] = [];
  const found: string[] = [];
  if (written.beside !== undefined) {
    kinds.push("beside");
    if (!Bun.deepEquals(written.beside, written.after)) found.push("another sum beside");
  }
  if ("refused" in packed) return { found, kinds };
  kinds.push("packed");
  if (!packed.tar.equals(written.tar)) found.push("another tar");
  if (!packed.isIndexSame) found.push("another index than that of the tar");
  if (packed.lines === undefined) return { found, kinds };
  const [mine, other] = [new Set(packed.lines), new Set(written.lines)];
  for (const line of mine.difference(other)) found.push(`only packed: ${line}`);
  for (const line of other.difference(mine)) found.push(`only written: ${line}`);
  return { found, kinds };
};

type Kind = "packed" | "beside" | "refused";

export interface Differences {
  /** Empty where all ways agree. */
  readonly found: readonly string[];
  readonly counts: Readonly<Record<Kind, number>>;
}

/** `copies` copies of one random tree onto random layers. */
export const differences = async (seed: number, copies: number): Promise<Differences> => {
  await using t = testStore("erofs");
  const dice = new Dice(seed);
  const root = `${t.directory}/source`;
  const attributes = dice.pick(["none", "user", "system", "system"] as const);
  const hasMarks = dice.once(8);
  const entries = 6 + dice.below(14);
  const source = randomTree(t.kernel, dice, root, { entries, attributes, hasMarks });
  const lower: RandomTree = { directories: [], others: [] };
  let parent: Digest | undefined;
  for (const name of ["low", "high"].slice(dice.below(2))) {
    const at = `${t.directory}/${name}`;
    const made = randomTree(t.kernel, dice, at, {
      entries: 4 + dice.below(10),
      attributes: dice.once(4) ? "system" : "user",
      hasMarks: false,
    });
    lower.directories.push(...made.directories);
    lower.others.push(...made.others);
    parent = layerOf(t, parent, at) ?? parent;
  }
  const counts = { packed: 0, beside: 0, refused: 0 };
  const found: string[] = [];
  if (parent === undefined) return { found, counts };
  // What --from reads: a stage's layers instead of a context.
  const stage = !hasMarks && dice.once(3) ? layerOf(t, undefined, root) : undefined;
  using view = stage === undefined ? undefined : t.store.view(stage);
  const from =
    view === undefined
      ? { root, source }
      : { root: view.path, source: inLayer(t, view.path, source) };
  for (let copy = 0; copy < copies; copy++) {
    const plan = randomPlan(dice, { ...from, lower, hasNoXattrs: attributes === "none" });
    const { found: more, kinds } = await comparisonOf(
      t,
      parent,
      plan,
      dice.pick(EPOCHS),
      dice.once(2),
    );
    for (const kind of kinds) counts[kind] += 1;
    for (const line of more)
      found.push(`seed ${seed}, copy ${copy}: ${line} ${JSON.stringify(plan)}`);
  }
  return { found, counts };
};
