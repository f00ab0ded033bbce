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
 * The chainID of `parent` with the files of `layer` (one that stands on nothing) above it. Answers at once
 * where that layer is already.
 */
export const graftLayer = async (
  { snapshots, paths }: Pick<BuildDependencies, "snapshots" | "paths">,
  layer: Digest | undefined,
  parent: Digest | undefined,
  signal: AbortSignal,
): Promise<Digest | undefined> => {
  if (layer === undefined) return parent;
  if (parent === undefined) return layer;
  const [alone] = snapshots.chain(layer);
  if (alone === undefined || alone.parent !== undefined) {
    throw new NaruError("internal", `layer "${layer}" does not stand alone`);
  }
  const { diffId, sizeBytes, isOpaque, form } = alone;
  const chainId = digestOf(`${parent} ${diffId}`);
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
