/** Which of a name's platforms a push sends. */
import type { Catalog } from "#image/catalog.ts";
import type { IndexMember } from "#image/indexes.ts";
import { platformOfMember } from "#image/indexes.ts";
import { NaruError } from "#lib/errors.ts";
import type { ImageRow } from "#metadata/images.ts";
import type { Digest } from "#spec/image/digest.ts";
import { HOST_PLATFORM, type Platform, formatPlatform } from "#spec/image/platform.ts";

export type PushChoice =
  /** The index with all that it lists. */
  | { readonly kind: "index"; readonly target: Digest }
  | {
      readonly kind: "image";
      readonly row: ImageRow;
      /** Of an index: the member it is. */
      readonly member?: IndexMember;
      /** Set when the whole index was asked for, but is not here. */
      readonly insteadOf?: Digest;
    };

const isFor = (member: IndexMember, wanted: Platform): boolean => {
  const platform = platformOfMember(member);
  return platform !== undefined && formatPlatform(platform) === formatPlatform(wanted);
};

/**
 * With a platform, that one alone. Without, the whole index where all of it is here; else the only image that is, or
 * the one for this machine. Throws not_found for a platform that is not here, conflict where there are several to choose from.
 */
export const choosePush = (catalog: Catalog, name: string, platform?: Platform): PushChoice => {
  const { id, target } = catalog.named(name);
  const members = target === undefined ? [] : catalog.indexes.members(target);
  if (target === undefined || members.length === 0) {
    return { kind: "image", row: catalog.chosen(name, platform) };
  }
  const here = members.filter(({ image }) => image !== undefined);
  if (platform !== undefined) {
    const member = here.find((one) => isFor(one, platform));
    const row = member?.image ?? catalog.chosen(name, platform);
    const own = member ?? here.find(({ image }) => image === row);
    return { kind: "image", row, ...(own === undefined ? {} : { member: own }) };
  }
  if (members.every(({ isAvailable }) => isAvailable)) return { kind: "index", target };
  const [only, another] = here;
  const member = another === undefined ? only : here.find((one) => isFor(one, HOST_PLATFORM));
  if (member?.image === undefined) {
    throw new NaruError(
      "conflict",
      "multiple matching manifests found but no specific platform requested: not all platforms of the image are here, so name one with --platform, or pull the others (--all-platforms)",
    );
  }
  return { kind: "image", row: member.image ?? catalog.row(id), member, insteadOf: target };
};
