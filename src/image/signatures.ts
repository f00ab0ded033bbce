/** Signatures of a manifest, as its registry has them: cosign's `.sig` tags, and what refers to it: sigstore bundles, and cosign's own form. */
import { hasCode } from "#lib/errors.ts";
import type { Repository } from "#remote/remote.ts";
import { type Digest, algorithmOf, hexOf } from "#spec/image/digest.ts";
import { type ImageManifest, parseManifest } from "#spec/image/manifest.ts";
import type { Signature } from "#trust/trust.ts";

const SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE = "dev.cosignproject.cosign/signature";
/** What refers in cosign's own form says so (its `--registry-referrers-mode=oci-1-1`). */
const SIMPLE_REFERRER = "application/vnd.dev.cosign.artifact.sig.v1+json";
const BUNDLE = "application/vnd.dev.sigstore.bundle";
/** What cosign itself lists bundles as under the tag, where a registry has no referrers API: their empty config. */
const EMPTY = "application/vnd.oci.empty.v1+json";
/** Whoever may push can attach as much as they like: so many are looked at. */
const COUNT_MAX = 32;
const PAYLOAD_MAX_BYTES = 64 * 1024;
const BUNDLE_MAX_BYTES = 1024 * 1024;

type Source = Pick<Repository, "manifest" | "blobText" | "referrers">;

/** Tag and layers of cosign's own form (SIGNATURE_SPEC.md, "Storage"). */
const simpleSignatures = async (
  source: Source,
  digest: Digest,
  signal: AbortSignal,
): Promise<Signature[]> => {
  const tag = `${algorithmOf(digest)}-${hexOf(digest)}.sig`;
  let text: string;
  try {
    ({ text } = await source.manifest(tag, signal));
  } catch (error) {
    if (hasCode(error, "not_found")) return [];
    throw error;
  }
  const manifest = parseManifest(text);
  return manifest.kind === "index" ? [] : await simpleOf(source, manifest, signal);
};

const simpleOf = async (
  source: Source,
  manifest: ImageManifest,
  signal: AbortSignal,
): Promise<Signature[]> => {
  const signed = manifest.layers.flatMap((layer) => {
    const signature = layer.annotations?.[SIGNATURE];
    return layer.mediaType === SIMPLE_SIGNING && signature !== undefined
      ? [{ layer, signature }]
      : [];
  });
  return await Promise.all(
    signed.slice(-COUNT_MAX).map(async ({ layer, signature }): Promise<Signature> => {
      const payload = await source.blobText(layer, PAYLOAD_MAX_BYTES, signal);
      return {
        form: "simple-signing",
        payload: Buffer.from(payload).toString("base64"),
        signature,
      };
    }),
  );
};

const signaturesOf = async (
  source: Source,
  digest: Digest,
  signal: AbortSignal,
): Promise<Signature[]> => {
  const { text } = await source.manifest(digest, signal);
  const manifest = parseManifest(text);
  if (manifest.kind === "index") return [];
  const layer = manifest.layers.find(({ mediaType }) => mediaType.startsWith(BUNDLE));
  if (layer === undefined) return await simpleOf(source, manifest, signal);
  return [{ form: "bundle", bundle: await source.blobText(layer, BUNDLE_MAX_BYTES, signal) }];
};

const referring = async (
  source: Source,
  digest: Digest,
  signal: AbortSignal,
): Promise<Signature[]> => {
  const referrers = await source.referrers(digest, signal);
  const likely = referrers.filter(
    ({ artifactType = EMPTY }) =>
      [EMPTY, SIMPLE_REFERRER].includes(artifactType) || artifactType.startsWith(BUNDLE),
  );
  const found = await Promise.all(
    likely.slice(-COUNT_MAX).map((one) => signaturesOf(source, one.digest, signal)),
  );
  return found.flat();
};

/** Unverified. None: an empty list. Throws when the registry cannot be asked. */
export const findSignatures = async (
  source: Source,
  digest: Digest,
  signal: AbortSignal,
): Promise<readonly Signature[]> => {
  const found = await Promise.all([
    simpleSignatures(source, digest, signal),
    referring(source, digest, signal),
  ]);
  return found.flat();
};
