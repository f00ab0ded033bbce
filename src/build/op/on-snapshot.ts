/** A writable snapshot that becomes a layer, or leaves nothing. */
import type { BuildDependencies } from "#build/dependencies.ts";
import type { RunContext } from "#build/solver.ts";
import { failpoint } from "#lib/failpoint.ts";
import type { Digest } from "#spec/image/digest.ts";

/** The end marks of a tar: nothing was written. */
export const EMPTY_TAR_BYTES = 1024;

type Named = Pick<RunContext, "id" | "signal" | "mtimeMaxSeconds">;

/** A snapshot that nothing is mounted in any more, as a layer on `parent`; it is gone afterwards. */
export const commitSnapshot = async (
  { snapshots }: Pick<BuildDependencies, "snapshots">,
  { id, signal, mtimeMaxSeconds }: Named,
  parent: Digest | undefined,
  hiddenPaths: readonly string[],
): Promise<Digest | undefined> => {
  signal.throwIfAborted();
  const diff = await snapshots.seal(id, {
    hiddenPaths,
    signal,
    ...(mtimeMaxSeconds === undefined ? {} : { mtimeMaxSeconds }),
  });
  failpoint("build.before-layer");
  if (diff.tarBytes > EMPTY_TAR_BYTES) return (await snapshots.commitActive(id, diff)).chainId;
  snapshots.remove(id);
  return parent;
};

/**
 * `fill` writes into the mounted tree on top of `parent`, and returns the paths that were made to mount
 * upon. Resolves to the chainID with the new layer, or to `parent` when nothing changed.
 */
export const onSnapshot = async (
  dependencies: Pick<BuildDependencies, "snapshots">,
  context: Named,
  parent: Digest | undefined,
  fill: (rootfs: string) => Promise<readonly string[]>,
): Promise<Digest | undefined> => {
  const { snapshots } = dependencies;
  const { id } = context;
  snapshots.prepare(id, parent);
  try {
    const hiddenPaths = await fill(snapshots.mount(id, true));
    return await commitSnapshot(dependencies, context, parent, hiddenPaths);
  } catch (error) {
    snapshots.remove(id);
    throw error;
  }
};
