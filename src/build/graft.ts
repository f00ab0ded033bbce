/** A layer that was made by itself (COPY --link), put on top of others: its files are shared, not copied. */
import { rmSync } from "node:fs";
import type { BuildDependencies } from "#build/dependencies.ts";
import { randomHex } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { linkIndexed } from "#snapshot/layer-form.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";

/** Hard links need the same file system: `work` and the layers are both on the data root. */
const linkTree = async (from: string, to: string, signal: AbortSignal): Promise<void> => {
  const argv = ["cp", "-a", "--link", "--no-target-directory", from, to];
  const child = Bun.spawn(argv, { stdin: "ignore", stdout: "ignore", stderr: "pipe", signal });
  const [complaint, code] = await Promise.all([child.stderr.text(), child.exited]);
  signal.throwIfAborted();
  if (code !== 0)
    throw new NaruError("internal", `cannot link a layer's files: ${complaint.trim()}`);
};

/**
 * The chainID of `parent` with the own files of `layer` above it, whatever that one stands on. Answers at once
 * where it is already.
 */
export const adoptOn = async (
  { snapshots, paths }: Pick<BuildDependencies, "snapshots" | "paths">,
  layer: Digest,
  parent: Digest | undefined,
  signal: AbortSignal,
): Promise<Digest> => {
  const [own] = snapshots.chain(layer);
  if (own === undefined) throw new NaruError("not_found", `layer "${layer}" is gone`);
  if (own.parent === parent) return layer;
  const { diffId, sizeBytes, isOpaque, form } = own;
  const chainId = parent === undefined ? diffId : digestOf(`${parent} ${diffId}`);
  if (snapshots.layer(chainId) !== undefined) return chainId;
  const directory = `${paths.work}/graft-${randomHex(8)}`;
  try {
    const from = snapshots.layerPath(layer);
    if (form === "erofs") linkIndexed(from, directory);
    else await linkTree(from, directory, signal);
    const staged = { directory, form, parent, diffId, sizeBytes, isOpaque, hasRootEntry: false };
    return snapshots.adopt(staged).chainId;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
};

/** As `adoptOn`, for a layer that stands on nothing, or none. */
export const graftLayer = async (
  dependencies: Pick<BuildDependencies, "snapshots" | "paths">,
  layer: Digest | undefined,
  parent: Digest | undefined,
  signal: AbortSignal,
): Promise<Digest | undefined> => {
  if (layer === undefined) return parent;
  if (dependencies.snapshots.layer(layer)?.parent !== undefined) {
    throw new NaruError("internal", `layer "${layer}" does not stand alone`);
  }
  return await adoptOn(dependencies, layer, parent, signal);
};
