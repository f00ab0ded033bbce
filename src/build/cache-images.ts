/** The classic builder's `--cache-from`: steps known again by the history of an image that is here. */
import type { BuildDependencies } from "#build/dependencies.ts";
import type { StageState } from "#build/state.ts";
import type { Imported } from "#build/solver.ts";
import type { ImageRecord } from "#image/image.ts";
import { chainIds } from "#spec/image/chain-id.ts";

/** What `image` says that the step after `state` gave, when all before it is the same in both. */
const nextOf = (image: ImageRecord, state: StageState, createdBy: string): Imported | undefined => {
  const history = image.config.history ?? [];
  const { diff_ids: diffIds } = image.config.rootfs;
  const isSame =
    state.history.every((entry, index) => history[index]?.created_by === entry.created_by) &&
    state.diffIds.every((diffId, index) => diffIds[index] === diffId);
  const next = history[state.history.length];
  if (!isSame || next === undefined || next.created_by !== createdBy) return undefined;
  const hasLayer = next.empty_layer !== true;
  const count = state.diffIds.length + (hasLayer ? 1 : 0);
  if (count > diffIds.length) return undefined;
  return {
    chainId: chainIds(diffIds.slice(0, count)).at(-1),
    createdAt: next.created ?? image.createdAt,
    description: createdBy,
    hasLayer,
  };
};

/** undefined when none of the images has it; those that are not here are passed over, as Docker does. */
export const findInImages = (
  { images, snapshots }: Pick<BuildDependencies, "images" | "snapshots">,
  names: readonly string[],
  state: StageState,
  createdBy: string,
): Imported | undefined => {
  for (const name of names) {
    const image = images.find(name);
    const found = image === undefined ? undefined : nextOf(image, state, createdBy);
    if (found === undefined) continue;
    const { chainId } = found;
    if (chainId === undefined || snapshots.layer(chainId) !== undefined) return found;
  }
  return undefined;
};
