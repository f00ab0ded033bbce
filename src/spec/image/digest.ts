/**
 * Digests of the OCI image spec ("sha256:<64 hex>"): image-spec 1.1 descriptor.md#digests.
 * Only the two registered algorithms are taken; everything else is refused by name.
 */
import { NaruError } from "#lib/errors.ts";

declare const digestBrand: unique symbol;

/** A validated "algorithm:hex" string. Made by `parseDigest` and the hashing functions only. */
export type Digest = string & { readonly [digestBrand]: true };

const HEX_LENGTHS: Readonly<Record<string, number>> = { sha256: 64, sha512: 128 };
const LOWER_HEX = /^[0-9a-f]+$/;

export const isDigest = (text: string): text is Digest => {
  const at = text.indexOf(":");
  if (at < 0) return false;
  const hex = text.slice(at + 1);
  return HEX_LENGTHS[text.slice(0, at)] === hex.length && LOWER_HEX.test(hex);
};

/** Throws invalid_argument with the words of Docker's own digest parser. */
export const parseDigest = (text: string): Digest => {
  if (isDigest(text)) return text;
  const at = text.indexOf(":");
  if (at <= 0) throw new NaruError("invalid_argument", `invalid checksum digest format: "${text}"`);
  const algorithm = text.slice(0, at);
  const length = HEX_LENGTHS[algorithm];
  if (length === undefined) {
    throw new NaruError("invalid_argument", `unsupported digest algorithm "${algorithm}"`);
  }
  const isLengthRight = text.length - at - 1 === length;
  const reason = isLengthRight
    ? "invalid checksum digest format"
    : "invalid checksum digest length";
  throw new NaruError("invalid_argument", `${reason}: "${text.slice(0, 160)}"`);
};

export const algorithmOf = (digest: Digest): "sha256" | "sha512" =>
  digest.startsWith("sha512:") ? "sha512" : "sha256";

export const hexOf = (digest: Digest): string => digest.slice(digest.indexOf(":") + 1);

/** The digest whose sha256 is `hex` (64 lower-case digits). */
export const sha256Digest = (hex: string): Digest => parseDigest(`sha256:${hex}`);

/** Of small values only: large content is hashed in a worker. */
export const digestOf = (content: string | Uint8Array): Digest =>
  sha256Digest(new Bun.CryptoHasher("sha256").update(content).digest("hex"));

/** Docker's 12 digit form of an id. */
export const shortId = (digest: Digest): string => hexOf(digest).slice(0, 12);
