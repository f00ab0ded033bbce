/** COPY and ADD as a vertex: which files, their digest, and how they get into the layer. */
import { posix } from "node:path";
import { rmSync, writeFileSync } from "node:fs";
import type { BuildDependencies } from "#build/dependencies.ts";
import { isArchiveFile } from "#build/op/archive.ts";
import type { CopyItem, CopyPlan } from "#build/op/copy-plan.ts";
import { runCopyPlan } from "#build/op/copy-tree.ts";
import { checkMode } from "#build/op/mode.ts";
import { onSnapshot } from "#build/op/on-snapshot.ts";
import { packedLayer } from "#build/op/packed-layer.ts";
import { type FoundSource, findSources } from "#build/op/sources.ts";
import type { InputDigest } from "#build/op/tree-digest.ts";
import type { RunContext, Vertex } from "#build/solver.ts";
import { type SourceTree, inputDigestOf } from "#build/trees.ts";
import { runBuildWorker } from "#build/worker-client.ts";
import { HANDED_FD } from "#build/worker-protocol.ts";
import { NaruError, hasCode } from "#lib/errors.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import { resolveLinks } from "#snapshot/container-path.ts";
import { DIRECTORY_FLAGS, walkTree } from "#snapshot/tree-walk.ts";
import { IgnoreMatcher } from "#spec/dockerfile/dockerignore.ts";
import type { Digest } from "#spec/image/digest.ts";

/** A tree and what of it is copied; variables are expanded already. */
export interface CopyFrom {
  readonly tree: SourceTree;
  /** Paths and patterns. */
  readonly sources: readonly string[];
  /** Archives among the files are unpacked. */
  readonly isUnpacked: boolean;
}

export interface CopyRequest {
  readonly keyword: "COPY" | "ADD";
  readonly from: readonly CopyFrom[];
  /** Absolute; "/" or "/." at its end says that it is a directory. */
  readonly destination: string;
  readonly chown: string | undefined;
  readonly chmod: string | undefined;
  readonly excludes: readonly string[];
  readonly isParents: boolean;
  /** A layer of its own: nothing of the files below has a part in it. */
  readonly isLink: boolean;
  /**
   * As the classic builder, which refuses what BuildKit takes: patterns that find nothing, several files to what is
   * not told to be a directory, owners that the files below do not know.
   */
  readonly isClassic: boolean;
  readonly parent: Digest | undefined;
}

interface Selection {
  readonly from: CopyFrom;
  readonly found: readonly FoundSource[];
  readonly input: InputDigest;
}

/** Few files are copied on the daemon's thread; a child process takes longer to start. */
const SMALL_FILES = 200;
const SMALL_BYTES = 8 * 1024 * 1024;

const missing =
  ({ keyword }: CopyRequest, { tree }: CopyFrom) =>
  (path: string): NaruError => {
    const where =
      tree.layers === undefined
        ? "file not found in build context or excluded by .dockerignore: "
        : "";
    return new NaruError(
      "not_found",
      `${keyword} failed: ${where}stat ${path}: file does not exist`,
    );
  };

/** A file that is named itself is left out by its own name. */
const ignoredTest = (excludes: readonly string[]): ((path: string) => boolean) => {
  if (excludes.length === 0) return () => false;
  const matcher = new IgnoreMatcher(excludes);
  return (path) => matcher.isIgnored(path);
};

const namesDirectory = (destination: string): boolean => /(^|\/)\.{0,2}$/.test(destination);

const checkClassic = (request: CopyRequest, selections: readonly Selection[]): void => {
  const { destination, excludes, isParents, keyword } = request;
  const count = selections.reduce((sum, { found }) => sum + found.length, 0);
  if (count === 0 && excludes.length === 0) {
    throw new NaruError("invalid_argument", `${keyword} failed: no source files were specified`);
  }
  if (count > 1 && !namesDirectory(destination) && !isParents) {
    throw new NaruError(
      "invalid_argument",
      `When using ${keyword} with more than one source file, the destination must be a directory and end with a /`,
    );
  }
};

const select = async (
  dependencies: BuildDependencies,
  request: CopyRequest,
  signal: AbortSignal,
): Promise<Selection[]> => {
  const isIgnored = ignoredTest(request.excludes);
  const selections: Selection[] = [];
  for (const from of request.from) {
    const found = from.sources
      .flatMap((source) =>
        findSources(dependencies.kernel, from.tree.root, source, missing(request, from)),
      )
      .filter((source) => source.isDirectory || !isIgnored(posix.basename(source.namedPath)));
    const { excludes } = request;
    const input = await inputDigestOf(dependencies, from.tree, found, excludes, isIgnored, signal);
    selections.push({ from, found, input });
  }
  if (request.isClassic) checkClassic(request, selections);
  return selections;
};

const isDirectoryIn = (kernel: FileKernel, root: string, path: string): boolean => {
  try {
    kernel.close(kernel.openInRoot(root, path === "" ? "." : path, DIRECTORY_FLAGS));
    return true;
  } catch (error) {
    if (hasCode(error, "not_found")) return false;
    if (error instanceof NaruError && error.details["errno"] === "ENOTDIR") return false;
    throw error;
  }
};

/** What a symlink at the destination points to is written, inside the root; relative to it. */
export const linkedTarget = (kernel: FileKernel, rootfs: string, destination: string): string => {
  const rootFd = kernel.openInRoot(rootfs, ".", DIRECTORY_FLAGS);
  try {
    return resolveLinks(kernel, rootFd, destination).slice(1);
  } finally {
    kernel.close(rootFd);
  }
};

/** What stays of a source's path with --parents: all of it, or what follows "/./". */
const parentsPath = (source: FoundSource, pivots: readonly string[]): string => {
  const pivot = pivots.find((text) => source.namedPath.startsWith(`${text}/`));
  return pivot === undefined ? source.namedPath : source.namedPath.slice(pivot.length + 1);
};

const pivotsOf = (sources: readonly string[]): string[] =>
  sources.flatMap((source) => {
    const at = source.indexOf("/./");
    return at < 0 ? [] : [posix.normalize(`/${source.slice(0, at)}`).slice(1)];
  });

/** Paths below a directory that are left out. */
const ignoredBelow = (
  kernel: FileKernel,
  root: string,
  path: string,
  excludes: readonly string[],
): string[] => {
  if (excludes.length === 0) return [];
  const isIgnored = ignoredTest(excludes);
  const fd = kernel.openInRoot(root, path || ".", DIRECTORY_FLAGS);
  try {
    return [...walkTree(kernel, fd)].map((node) => node.path).filter(isIgnored);
  } finally {
    kernel.close(fd);
  }
};

const planItems = async (
  kernel: FileKernel,
  request: CopyRequest,
  selections: readonly Selection[],
  rootfs: string,
): Promise<CopyItem[]> => {
  const target = linkedTarget(kernel, rootfs, posix.resolve(request.destination));
  const inside = (name: string): string => (target === "" ? name : `${target}/${name}`);
  let goesInside = namesDirectory(request.destination) || isDirectoryIn(kernel, rootfs, target);
  const items: CopyItem[] = [];
  for (const { from, found } of selections) {
    const { root, hasNoXattrs = false } = from.tree;
    for (const source of found) {
      const { path, isDirectory } = source;
      const isUnpacked =
        from.isUnpacked && !isDirectory && (await isArchiveFile(kernel, root, path));
      const ignored = isDirectory ? ignoredBelow(kernel, root, path, request.excludes) : [];
      const base = { root, path, isUnpacked, hasNoXattrs, ignored };
      if (request.isParents) {
        items.push({ ...base, target: inside(parentsPath(source, pivotsOf(from.sources))) });
      } else if (isDirectory || isUnpacked) {
        items.push({ ...base, target });
        goesInside = true;
      } else {
        items.push({
          ...base,
          target: goesInside ? inside(posix.basename(source.namedPath)) : target,
        });
      }
    }
  }
  return items;
};

export interface CopySize {
  readonly files: number;
  readonly bytes: number;
}

const sizeOf = (inputs: readonly InputDigest[]): CopySize => ({
  files: inputs.reduce((sum, input) => sum + input.files.size, 0),
  bytes: inputs.reduce((sum, input) => sum + input.sizeBytes, 0),
});

const isSmall = ({ files, bytes }: CopySize): boolean =>
  files <= SMALL_FILES && bytes <= SMALL_BYTES;

/** Here for little, in a child process for more. `isLast`: nothing else is written into the snapshot. */
export const runPlan = async (
  dependencies: BuildDependencies,
  plan: CopyPlan,
  size: CopySize,
  { id, signal }: RunContext,
  isLast = false,
): Promise<void> => {
  if (isSmall(size) && plan.items.every((item) => !item.isUnpacked)) {
    return await runCopyPlan(dependencies.kernel, plan);
  }
  const planFile = `${dependencies.paths.work}/copy-${id}.json`;
  writeFileSync(planFile, JSON.stringify(plan), { mode: 0o600 });
  try {
    const { snapshots, workerCommand } = dependencies;
    const job = { verb: "copy", planFile } as const;
    if (!isLast) return void (await runBuildWorker(workerCommand, job, { signal }));
    using teller = snapshots.sumBeside(id, signal);
    const running = runBuildWorker(
      workerCommand,
      { ...job, tellsOn: HANDED_FD },
      { handed: teller.fd, signal },
    );
    // The child has its own by now: who listens must notice when that one is closed.
    teller[Symbol.dispose]();
    await running;
  } finally {
    rmSync(planFile, { force: true });
  }
};

/** "file:…", "dir:…" or "multi:…", as Docker's history names what was copied. */
const contentName = (selections: readonly Selection[]): string => {
  const found = selections.flatMap((selection) => selection.found);
  const digests = selections.map(({ input }) => input.digest);
  const hasher = new Bun.CryptoHasher("sha256").update(digests.join());
  const digest = digests.length === 1 ? (digests[0] ?? "") : hasher.digest("hex");
  const [first] = found;
  if (found.length !== 1 || first === undefined) return `multi:${digest}`;
  return `${first.isDirectory ? "dir" : "file"}:${digest}`;
};

/** "user" alone means the group of that name too; a number alone is both. */
const ownerOf = (
  { configs }: BuildDependencies,
  rootfs: string,
  chown: string,
): { uid: number; gid: number } => {
  if (chown.includes(":")) return configs.userOf(rootfs, chown);
  try {
    return configs.userOf(rootfs, `${chown}:${chown}`);
  } catch (error) {
    // No group of that name: the user's own.
    if (!hasCode(error, "invalid_argument")) throw error;
    return configs.userOf(rootfs, chown);
  }
};

/** BuildKit's way: a user that nobody knows is root, a group that nobody knows is the user's own. */
const lenientOwnerOf = (
  { configs }: BuildDependencies,
  rootfs: string,
  chown: string,
): { uid: number; gid: number } => {
  const found = (spec: string): { uid: number; gid: number } | undefined => {
    try {
      return configs.userOf(rootfs, spec);
    } catch (error) {
      if (hasCode(error, "invalid_argument")) return undefined;
      throw error;
    }
  };
  const [user = "", group = user] = chown.split(":", 2);
  const own = found(user) ?? { uid: 0, gid: 0 };
  return { uid: own.uid, gid: found(`0:${group}`)?.gid ?? own.gid };
};

const ownerFor = (
  dependencies: BuildDependencies,
  rootfs: string,
  { chown, isClassic }: Pick<CopyRequest, "chown" | "isClassic">,
): { uid: number; gid: number } | undefined =>
  chown === undefined
    ? undefined
    : (isClassic ? ownerOf : lenientOwnerOf)(dependencies, rootfs, chown);

/** `chown` as numbers, by the files of `root`; numbers alone need no files. */
export const numericOwner = (
  dependencies: BuildDependencies,
  root: string,
  request: Pick<CopyRequest, "chown" | "isClassic">,
): string | undefined => {
  const owner = ownerFor(dependencies, root, request);
  return owner && `${owner.uid}:${owner.gid}`;
};

export interface CopyVertex extends Vertex {
  /** "file:… in /dest ". */
  readonly content: string;
}

/** Reads and sums up the sources at once; throws not_found for those that are not there. */
export const copyVertex = async (
  dependencies: BuildDependencies,
  request: CopyRequest,
  signal: AbortSignal,
): Promise<CopyVertex> => {
  const { keyword, chown, chmod, isLink } = request;
  const parent = isLink ? undefined : request.parent;
  if (chmod !== undefined) checkMode(chmod);
  const selections = await select(dependencies, request, signal);
  const destination = posix.resolve(request.destination);
  const shown = namesDirectory(request.destination)
    ? `${destination}/`.replace("//", "/")
    : destination;
  const content = `${contentName(selections)} in ${shown} `;
  const inputs = Object.fromEntries(
    selections.map(({ from, input }, index) => [
      selections.length === 1 ? from.tree.name : `${from.tree.name} (${index + 1})`,
      input,
    ]),
  );
  const planOn = async (rootfs: string): Promise<CopyPlan> => {
    const owner = ownerFor(dependencies, rootfs, request);
    const isFromContext = request.from.every(({ tree }) => tree.layers === undefined);
    return {
      targetRoot: rootfs,
      items: await planItems(dependencies.kernel, request, selections, rootfs),
      ...(owner === undefined && !isFromContext
        ? {}
        : { owner: { uid: owner?.uid ?? 0, gid: owner?.gid ?? 0 } }),
      ...(owner === undefined ? {} : { unpackedOwner: owner }),
      ...(chmod === undefined ? {} : { chmod }),
    };
  };
  const size = sizeOf(selections.map((one) => one.input));
  const run = async (context: RunContext): Promise<Digest | undefined> => {
    if (!isSmall(size) && dependencies.snapshots.newLayers().form === "erofs") {
      using below = dependencies.snapshots.view(parent);
      const plan = await planOn(below.path);
      const packed = await packedLayer(dependencies, plan, context, parent);
      if (packed !== undefined) return packed.chainId;
    }
    return await onSnapshot(dependencies, context, parent, async (rootfs) => {
      const isLast = context.mtimeMaxSeconds === undefined;
      await runPlan(dependencies, await planOn(rootfs), size, context, isLast);
      return [];
    });
  };
  return {
    description: `${keyword} ${content}`,
    definition: {
      op: "copy",
      destination: shown,
      chown: chown ?? null,
      // What BuildKit takes for root is not a hit for who would be refused.
      ...(request.isClassic && chown !== undefined && /\D/.test(chown.replace(":", ""))
        ? { knowsOwner: true }
        : {}),
      chmod: chmod ?? null,
      parents: request.isParents,
      unpack: request.from.map((from) => from.isUnpacked),
      excludes: request.excludes,
    },
    parent,
    isLinked: isLink,
    inputs,
    run,
    content,
  };
};
