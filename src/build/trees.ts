/** What COPY --from and RUN --mount read: the context, other contexts, stages and images, as directories. */
import type { BuildContext } from "#build/context.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import { type DigestedTree, type InputDigest, digestSources } from "#build/op/tree-digest.ts";
import type { FoundSource } from "#build/op/sources.ts";
import { now } from "#lib/clock.ts";
import type { View } from "#snapshot/snapshot.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";

export interface SourceTree extends DigestedTree {
  /** As users know it: "the build context", "stage build". */
  readonly name: string;
  /** Of layers; undefined for contexts, whose content is known by itself. */
  readonly layers: { readonly chainId: Digest | undefined } | undefined;
  /** "" or a remark for a file that is not there. */
  readonly hint: string;
}

export const contextTree = (
  context: Pick<BuildContext, "root" | "digests" | "hint" | "hasNoXattrs">,
  name: string,
): SourceTree => ({
  name,
  root: context.root,
  digests: context.digests,
  hasNoXattrs: context.hasNoXattrs ?? false,
  hasOwners: false,
  layers: undefined,
  hint: context.hint,
});

/** Views of layers, mounted at first use; disposing unmounts them. */
export class LayerTrees implements Disposable {
  readonly #dependencies: BuildDependencies;
  readonly #views = new Map<string, View>();

  constructor(dependencies: BuildDependencies) {
    this.#dependencies = dependencies;
  }

  tree(chainId: Digest | undefined, name: string): SourceTree {
    const key = chainId ?? "";
    let view = this.#views.get(key);
    if (view === undefined) {
      view = this.#dependencies.snapshots.view(chainId);
      this.#views.set(key, view);
    }
    return {
      name,
      root: view.path,
      digests: new Map(),
      hasOwners: true,
      layers: { chainId },
      hint: "",
    };
  }

  [Symbol.dispose](): void {
    for (const view of this.#views.values()) view[Symbol.dispose]();
    this.#views.clear();
  }
}

/** As `digestSources`; what layers hold never changes, so its sum is looked up before it is taken. */
export const inputDigestOf = async (
  { kernel, rows }: BuildDependencies,
  tree: SourceTree,
  sources: readonly FoundSource[],
  excludes: readonly string[],
  isIgnored: (path: string) => boolean,
  signal: AbortSignal,
): Promise<InputDigest> => {
  if (tree.layers === undefined) {
    return await digestSources(kernel, tree, sources, isIgnored, signal);
  }
  const what = JSON.stringify([tree.layers.chainId ?? null, sources, excludes]);
  const memo = `tree ${digestOf(what)}`;
  const known = rows.keyParts(memo);
  if (known !== undefined) {
    return { digest: known, files: new Map(), sizeBytes: Number.POSITIVE_INFINITY };
  }
  const input = await digestSources(kernel, tree, sources, isIgnored, signal);
  rows.putKeyParts(memo, input.digest, now());
  return input;
};
