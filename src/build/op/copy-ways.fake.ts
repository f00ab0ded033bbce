/** One copy made in each of the ways that a build knows, and what came of it. */
import { closeSync, fstatSync, openSync, readFileSync, rmSync } from "node:fs";
import { packCopyPlan } from "#build/op/copy-pack.ts";
import type { CopyPlan } from "#build/op/copy-plan.ts";
import { CopyTeller } from "#build/op/copy-teller.ts";
import { runCopyPlan } from "#build/op/copy-tree.ts";
import { hasCode } from "#lib/errors.ts";
import { errnoOf } from "#snapshot/directory-cache.ts";
import { packDiff } from "#snapshot/diff.ts";
import { IndexWriter, type WrittenIndex } from "#snapshot/index-writer.ts";
import { INDEX_FILE, TAR_FILE } from "#snapshot/layer-form.ts";
import { clampTimes, sumDiff } from "#snapshot/seal.ts";
import type { DiffTarResult } from "#snapshot/snapshot.ts";
import type { TestStore } from "#snapshot/store-fixture.fake.ts";
import { sumBeside } from "#snapshot/sum-beside.ts";
import { isPortableXattr } from "#snapshot/tree-pack.ts";
import { DIRECTORY_FLAGS, walkTree } from "#snapshot/tree-walk.ts";
import { S_IFLNK, S_IFMT, S_IFREG, isDirectory } from "#snapshot/whiteout.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";

/** A line for each file: what a program in there could see of it, times set back to `maxSeconds`. */
const treeLines = ({ kernel }: TestStore, root: string, maxSeconds: number): string[] => {
  const fd = kernel.openInRoot(root, ".", DIRECTORY_FLAGS);
  const { mode, uid, gid } = fstatSync(fd);
  const lines = [`. ${mode.toString(8)} ${uid} ${gid}`];
  try {
    for (const { path, name, directoryFd, stat } of walkTree(kernel, fd)) {
      const file = `${kernel.fdPath(directoryFd)}/${name}`;
      const keys = kernel.listXattrs(file).filter(isPortableXattr).toSorted();
      const xattrs = keys.map((key) => [
        key,
        Buffer.from(kernel.getXattr(file, key) ?? []).toString("hex"),
      ]);
      const isTree = isDirectory(stat);
      const type = stat.mode & S_IFMT;
      let content = "";
      if (type === S_IFLNK) content = kernel.readlinkAt(directoryFd, name);
      if (type === S_IFREG) {
        const open = kernel.openAt(directoryFd, name, 0);
        content = `${stat.size} ${digestOf(readFileSync(open))}`;
        kernel.close(open);
      }
      const device = type === S_IFREG || isTree ? "" : `${stat.rdevMajor}:${stat.rdevMinor}`;
      const { uid: user, gid: group } = stat;
      // A directory that is only touched is no part of a layer; times of those that are, the tar has.
      const seconds = isTree ? 0 : Math.min(stat.mtime.seconds, maxSeconds);
      const all = {
        user,
        group,
        device,
        xattrs,
        content,
        seconds,
      };
      const links = isTree ? {} : { links: stat.nlink };
      lines.push(JSON.stringify({ path, mode: stat.mode.toString(8), ...all, ...links }));
    }
  } finally {
    kernel.close(fd);
  }
  return lines;
};

/** Why a copy is refused, or cannot be made in this way. */
export interface Refusal {
  readonly refused: string;
}

const orRefusal = async <T>(make: () => T | Promise<T>): Promise<T | Refusal> => {
  try {
    return await make();
  } catch (error) {
    // Symlinks that lead to themselves, and those in sticky directories that the kernel does not follow (proc_sys_fs(5)).
    const isUnfollowed = ["ELOOP", "EACCES"].includes(errnoOf(error) ?? "");
    if (!hasCode(error, "failed_precondition") && !isUnfollowed) throw error;
    return { refused: (error as Error).message };
  }
};

export interface WrittenWay {
  readonly tar: Buffer;
  readonly lines: readonly string[];
  /** Undefined where no sum was taken, or it is of no use. */
  readonly beside: DiffTarResult | undefined;
  /** Of the same tree, by the walk. */
  readonly after: DiffTarResult | undefined;
}

/** The files made in a writable snapshot, and packed by a walk; `isTold`: summed up beside as well. */
export const writtenWay = async (
  t: TestStore,
  parent: Digest,
  planOn: (root: string) => CopyPlan,
  { maxSeconds, isTold }: { maxSeconds: number; isTold: boolean },
): Promise<WrittenWay | Refusal> =>
  await orRefusal(async () => {
    const { upper } = t.store.prepare("copy", parent);
    const told = `${t.directory}/told`;
    const out = openSync(told, "w");
    try {
      const teller = isTold ? new CopyTeller(out) : undefined;
      const root = t.store.mount("copy", true);
      await runCopyPlan(t.kernel, planOn(root), teller);
      const lines = treeLines(t, root, maxSeconds);
      t.store.unmount("copy");
      using lower = t.store.view(parent);
      const input = { kernel: t.kernel, upper, lower: lower.path };
      let [beside, after]: (DiffTarResult | undefined)[] = [];
      if (isTold) {
        const fd = openSync(told, "r");
        beside = sumBeside(t.kernel, upper, fd);
        closeSync(fd);
        after = sumDiff(input);
      }
      clampTimes(t.kernel, upper, maxSeconds);
      const tar = Buffer.concat([...packDiff(input, { sizeBytes: 0 })]);
      return { tar, lines, beside, after };
    } finally {
      closeSync(out);
      t.store.remove("copy");
    }
  });

export interface PackedWay {
  readonly tar: Buffer;
  /** Undefined where no index can show the tar. */
  readonly lines: readonly string[] | undefined;
  /** The index is what it would be of the tar alone. */
  readonly isIndexSame: boolean;
}

const adopted = (
  t: TestStore,
  parent: Digest | undefined,
  directory: string,
  tar: Buffer,
  { sizeBytes, root }: WrittenIndex,
): Digest =>
  t.store.adopt({
    directory,
    form: "erofs",
    root,
    parent,
    diffId: digestOf(tar),
    sizeBytes,
    isOpaque: false,
    hasRootEntry: false,
  }).chainId;

/** A layer of a directory's content. Undefined where no index can show it. */
export const layerOf = (
  t: TestStore,
  parent: Digest | undefined,
  tree: string,
): Digest | undefined => {
  const made = `${tree}.layer`;
  using index = new IndexWriter({ directory: made, maxEntries: 1_000 });
  const input = { kernel: t.kernel, upper: tree, lower: undefined };
  for (const chunk of packDiff(input, { sizeBytes: 0 })) index.push(chunk);
  const told = index.finish();
  const tar = readFileSync(index.tarPath);
  return told === undefined ? undefined : adopted(t, parent, made, tar, told);
};

/** The tar without the files, and what it shows as a layer. */
export const packedWay = async (
  t: TestStore,
  parent: Digest,
  planOn: (root: string) => CopyPlan,
  mtimeMaxSeconds: number,
): Promise<PackedWay | Refusal> =>
  await orRefusal(() => {
    const made = `${t.directory}/packed`;
    const again = `${t.directory}/parsed`;
    rmSync(made, { recursive: true, force: true });
    rmSync(again, { recursive: true, force: true });
    using index = new IndexWriter({ directory: made, maxEntries: 1_000 });
    {
      using lower = t.store.view(parent);
      const options = { onEntry: index.entry.bind(index), mtimeMaxSeconds };
      for (const chunk of packCopyPlan(t.kernel, planOn(lower.path), options)) index.append(chunk);
    }
    const told = index.finish();
    const tar = readFileSync(`${made}/${TAR_FILE}`);
    using parsed = new IndexWriter({
      directory: again,
      tar: `${made}/${TAR_FILE}`,
      maxEntries: 1_000,
    });
    parsed.push(tar);
    const toldAgain = parsed.finish();
    if (told === undefined || toldAgain === undefined) {
      return { tar, lines: undefined, isIndexSame: told === toldAgain };
    }
    const [mine, other] = [made, again].map((at) => readFileSync(`${at}/${INDEX_FILE}`));
    const isIndexSame = mine?.equals(other as Buffer) === true && Bun.deepEquals(told, toldAgain);
    const chainId = adopted(t, parent, made, tar, told);
    try {
      using view = t.store.view(chainId);
      return { tar, lines: treeLines(t, view.path, mtimeMaxSeconds), isIndexSame };
    } finally {
      if (chainId !== parent) t.store.removeLayer(chainId);
    }
  });
