/** Content descriptors: image-spec 1.1 descriptor.md. */
import {
  asArray,
  asDigest,
  asObject,
  asOptionalString,
  asSize,
  asString,
  asStringMap,
} from "#spec/image/decode.ts";
import type { Digest } from "#spec/image/digest.ts";
import { type Platform, decodePlatform } from "#spec/image/platform.ts";

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes of the content as stored, compressed or not. */
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
  readonly artifactType?: string;
  /** Where else the content is to be had (descriptor.md): it may be fetched there, without credentials. */
  readonly urls?: readonly string[];
}

/** Annotation keys: image-spec 1.1 annotations.md, and containerd's full image name. */
export const REF_NAME = "org.opencontainers.image.ref.name";
export const CONTAINERD_NAME = "io.containerd.image.name";

export const decodeDescriptor = (value: unknown, what: string): Descriptor => {
  const object = asObject(value, what);
  const annotations = asStringMap(object["annotations"], `${what}.annotations`);
  const artifactType = asOptionalString(object["artifactType"], `${what}.artifactType`);
  const platform = object["platform"];
  const urls = asArray(object["urls"], `${what}.urls`).map((url) => asString(url, `${what}.urls`));
  return {
    mediaType: asOptionalString(object["mediaType"], `${what}.mediaType`) ?? "",
    digest: asDigest(object["digest"], `${what}.digest`),
    size: asSize(object["size"], `${what}.size`),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(urls.length === 0 ? {} : { urls }),
    ...(platform === undefined || platform === null
      ? {}
      : { platform: decodePlatform(asObject(platform, `${what}.platform`), `${what}.platform`) }),
  };
};
