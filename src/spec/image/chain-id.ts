/** ChainIDs: image-spec 1.1 config.md#layer-chainid. */
import { type Digest, digestOf } from "#spec/image/digest.ts";

/** The ChainID of each prefix of `diffIds`, lowest layer first. */
export const chainIds = (diffIds: readonly Digest[]): Digest[] => {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const parent = chain.at(-1);
    chain.push(parent === undefined ? diffId : digestOf(`${parent} ${diffId}`));
  }
  return chain;
};

/** The ChainID of the whole stack, undefined for an image without layers. */
export const chainId = (diffIds: readonly Digest[]): Digest | undefined => chainIds(diffIds).at(-1);
