/** The action copy of the op file: which files of one tree go where in another. */
import { lstatSync } from "node:fs";
import { posix } from "node:path";
import { kindOf, relativePath } from "#build/llb/file-action.ts";
import { isArchiveFile } from "#build/op/archive.ts";
import type { CopySize } from "#build/op/copy.ts";
import type { CopyItem, CopyPlan, Owner } from "#build/op/copy-plan.ts";
import { type FoundSource, findSources } from "#build/op/sources.ts";
import { resolveLinks } from "#snapshot/container-path.ts";
import { DIRECTORY_FLAGS, walkTree } from "#snapshot/tree-walk.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import { NaruError } from "#lib/errors.ts";
import type { FileCopy } from "#spec/buildkit/llb.gen.ts";
import { IgnoreMatcher } from "#spec/dockerfile/dockerignore.ts";

const KEEPS_MODE = -1;

const sourcesOf = (kernel: FileKernel, root: string, copy: FileCopy): FoundSource[] => {
  const missing = (path: string): NaruError => new NaruError("not_found", `"/${path}": not found`);
  if (!copy.followSymlink && !copy.allowWildcard) {
    const named = relativePath(copy.src);
    const rootFd = kernel.openInRoot(root, ".", DIRECTORY_FLAGS);
    try {
      const parent = resolveLinks(kernel, rootFd, posix.dirname(`/${named}`)).slice(1);
      const path = named === "" ? "" : posix.join(parent, posix.basename(named));
      const kind = kindOf(kernel, root, path);
      if (kind === undefined) throw missing(named);
      return [{ path, namedPath: named, isDirectory: kind === "directory" }];
    } finally {
      kernel.close(rootFd);
    }
  }
  const source = copy.allowWildcard ? copy.src : copy.src.replaceAll(/[*?[\\]/g, "\\$&");
  const found = findSources(kernel, root, source, missing);
  if (found.length === 0 && !copy.allowEmptyWildcard) throw missing(relativePath(copy.src));
  return found;
};

/** Paths below a directory that include and exclude patterns leave out. */
const ignoredBelow = (
  kernel: FileKernel,
  root: string,
  path: string,
  { includePatterns, excludePatterns }: FileCopy,
): string[] => {
  if (includePatterns.length + excludePatterns.length === 0) return [];
  const isIncluded = (one: string): boolean =>
    includePatterns.length === 0 || include.isIgnored(one);
  const include = new IgnoreMatcher(includePatterns);
  const exclude = new IgnoreMatcher(excludePatterns);
  const fd = kernel.openInRoot(root, path || ".", DIRECTORY_FLAGS);
  let all: string[];
  try {
    all = [...walkTree(kernel, fd)].map((node) => node.path);
  } finally {
    kernel.close(fd);
  }
  const kept = new Set<string>();
  for (const one of all) {
    if (!isIncluded(one) || exclude.isIgnored(one)) continue;
    // The directories on the way to it come along.
    for (
      let at = one;
      at !== "" && !kept.has(at);
      at = at.slice(0, Math.max(0, at.lastIndexOf("/")))
    ) {
      kept.add(at);
    }
  }
  return all.filter((one) => !kept.has(one));
};

const MEASURED_MAX = 1000;

/** How much the items are; infinite from where on it is much. */
const measure = (kernel: FileKernel, root: string, items: readonly CopyItem[]): CopySize => {
  let [files, bytes] = [0, 0];
  for (const { path } of items) {
    files += 1;
    if (kindOf(kernel, root, path) !== "directory") {
      bytes += lstatSync(`${root}/${path}`, { throwIfNoEntry: false })?.size ?? 0;
      continue;
    }
    const fd = kernel.openInRoot(root, path || ".", DIRECTORY_FLAGS);
    try {
      for (const { stat } of walkTree(kernel, fd)) {
        files += 1;
        bytes += stat.size;
        if (files > MEASURED_MAX) return { files: Number.POSITIVE_INFINITY, bytes };
      }
    } finally {
      kernel.close(fd);
    }
  }
  return { files, bytes };
};

/** Copies from the tree at `from` into the mounted root. */
export const copyFiles = async (
  kernel: FileKernel,
  from: string,
  rootfs: string,
  copy: FileCopy,
  owner: Owner | undefined,
  run: (plan: CopyPlan, size: CopySize) => Promise<void>,
): Promise<void> => {
  if (copy.requiredPaths.length > 0) {
    throw new NaruError("not_implemented", "a copy with required paths is not supported by naru");
  }
  const destination = relativePath(copy.dest);
  if (
    !copy.createDestPath &&
    kindOf(kernel, rootfs, posix.dirname(`/${destination}`)) === undefined
  ) {
    const reason = `lstat ${posix.dirname(`/${destination}`)}: no such file or directory`;
    throw new NaruError("not_found", reason);
  }
  const asDirectory = /(^|\/)\.{0,2}$/.test(copy.dest);
  const items: CopyItem[] = [];
  for (const source of sourcesOf(kernel, from, copy)) {
    const isThere = asDirectory || kindOf(kernel, rootfs, destination) === "directory";
    const isUnpacked =
      copy.attemptUnpack && !source.isDirectory && (await isArchiveFile(kernel, from, source.path));
    const goesInside =
      isThere &&
      !isUnpacked &&
      !(source.isDirectory && copy.dirCopyContents) &&
      source.namedPath !== "";
    const name = posix.basename(source.namedPath);
    const target = goesInside ? posix.join(destination, name) : destination;
    const ignored = source.isDirectory ? ignoredBelow(kernel, from, source.path, copy) : [];
    items.push({ root: from, path: source.path, target, isUnpacked, ignored });
  }
  const chmod = copy.modeStr || (copy.mode === KEEPS_MODE ? "" : (copy.mode & 0o7777).toString(8));
  const plan: CopyPlan = {
    targetRoot: rootfs,
    items,
    ...(owner === undefined ? {} : { owner, unpackedOwner: owner }),
    ...(chmod === "" ? {} : { chmod }),
    ...(copy.timestamp < 0n ? {} : { mtimeSeconds: Number(copy.timestamp / 1_000_000_000n) }),
  };
  await run(plan, measure(kernel, from, items));
};
