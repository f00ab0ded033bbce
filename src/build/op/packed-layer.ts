/** A copy that becomes a layer as a tar with its index: written by one child, summed up by another meanwhile. */
import { rmSync, writeFileSync } from "node:fs";
import type { BuildDependencies } from "#build/dependencies.ts";
import type { CopyPlan } from "#build/op/copy-plan.ts";
import { EMPTY_TAR_BYTES } from "#build/op/on-snapshot.ts";
import type { RunContext } from "#build/solver.ts";
import { NaruError } from "#lib/errors.ts";
import { failpoint } from "#lib/failpoint.ts";
import { TAR_FILE } from "#snapshot/layer-form.ts";
import type { Digest } from "#spec/image/digest.ts";

type Dependencies = Pick<BuildDependencies, "layerChildren" | "paths" | "snapshots">;

/**
 * The layer of `plan`, whose target is a view of `parent`; `parent` where nothing is in it. Undefined: this copy has
 * to be made in a writable snapshot, nothing is left of the attempt.
 */
export const packedLayer = async (
  dependencies: Dependencies,
  plan: CopyPlan,
  context: RunContext,
  parent: Digest | undefined,
): Promise<{ readonly chainId: Digest | undefined } | undefined> => {
  const { layerChildren, paths, snapshots } = dependencies;
  const planFile = `${paths.work}/copy-${context.id}.json`;
  const directory = `${paths.work}/layer-${context.id}`;
  try {
    writeFileSync(planFile, JSON.stringify(plan), { mode: 0o600 });
    const { mtimeMaxSeconds, signal } = context;
    const [packed, sum] = await layerChildren.run(
      {
        verb: "pack",
        planFile,
        directory,
        ...(mtimeMaxSeconds === undefined ? {} : { mtimeMaxSeconds }),
      },
      { verb: "sum", file: `${directory}/${TAR_FILE}` },
      signal,
    );
    if ("unsuited" in packed) return undefined;
    if (sum.diffId === undefined) {
      throw new NaruError("internal", "the layer was written to its end, but not summed up");
    }
    failpoint("build.before-layer");
    if (sum.tarBytes <= EMPTY_TAR_BYTES) return { chainId: parent };
    const { sizeBytes, root } = packed;
    const staged = { directory, form: "erofs", root, parent, diffId: sum.diffId } as const;
    return snapshots.adopt({ ...staged, sizeBytes, isOpaque: false, hasRootEntry: false });
  } finally {
    rmSync(planFile, { force: true });
    rmSync(directory, { recursive: true, force: true });
  }
};
