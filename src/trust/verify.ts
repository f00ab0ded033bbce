/**
 * Signatures of images by a key, in the two forms that cosign writes. Pure.
 *
 * - Simple signing (cosign's SIGNATURE_SPEC.md): the payload is JSON that names the manifest's digest; the signature
 *   is over its bytes, by ECDSA or RSA (PKCS #1 v1.5) with SHA-256, or Ed25519.
 * - Sigstore bundle (v0.3): a DSSE envelope with an in-toto statement about the digest. Only statements of the type
 *   "sign" count: an attestation (of a build, of a scan) by the same key says something else about the image.
 */
import { type KeyObject, createPublicKey, verify } from "node:crypto";
import { ed25519ph } from "@noble/curves/ed25519.js";
import { type Bundle, bundleFromJSON } from "@sigstore/bundle";
import { Verifier, toSignedEntity } from "@sigstore/verify";
import { NaruError, toNaruError } from "#lib/errors.ts";
import type { Proof, Signature, TrustKey, Verified } from "#trust/trust.ts";
import { asArray, asObject, asString, decodeJson } from "#spec/image/decode.ts";
import { type Digest, algorithmOf, digestOf, hexOf } from "#spec/image/digest.ts";
import { parseManifest } from "#spec/image/manifest.ts";

const PAYLOAD_TYPE = "cosign container image signature";
const IN_TOTO = "application/vnd.in-toto+json";
const ED25519_SIGNATURE_BYTES = 64;
const SIGN_PREDICATE = "https://sigstore.dev/cosign/sign/v1";

/** Why a signature does not count. */
class Rejected extends Error {}

const wrong = (what: string): never => {
  throw new Rejected(what);
};

const checkPayload = (bytes: Uint8Array, digest: Digest): void => {
  const payload = asObject(decodeJson(Buffer.from(bytes).toString("utf8"), "payload"), "payload");
  const critical = asObject(payload["critical"], "payload.critical");
  if (critical["type"] !== PAYLOAD_TYPE) wrong(`it is of type "${String(critical["type"])}"`);
  const image = asObject(critical["image"], "payload.critical.image");
  const signed = asString(image["docker-manifest-digest"], "docker-manifest-digest");
  if (signed !== digest) wrong(`it is a signature of ${signed}`);
};

/**
 * Ed25519 as RFC 8032 has it, or over the SHA-512 of the message (Ed25519ph), which is what cosign makes of an
 * imported key; the runtime's own library has only the first.
 */
const isByEd25519 = (bytes: Uint8Array, signature: Uint8Array, key: KeyObject): boolean => {
  if (verify(null, bytes, key, signature)) return true;
  const raw = Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url");
  return signature.length === ED25519_SIGNATURE_BYTES && ed25519ph.verify(signature, bytes, raw);
};

const isEd25519 = (key: KeyObject): boolean => key.asymmetricKeyType === "ed25519";

const checkSimple = (
  { payload, signature }: Extract<Signature, { form: "simple-signing" }>,
  digest: Digest,
  key: KeyObject,
): void => {
  const bytes = Buffer.from(payload, "base64");
  const made = Buffer.from(signature, "base64");
  const isGood = isEd25519(key)
    ? isByEd25519(bytes, made, key)
    : verify("sha256", bytes, key, made);
  if (!isGood) wrong("it was not made by this key");
  checkPayload(bytes, digest);
};

const checkStatement = (payload: Uint8Array, digest: Digest): void => {
  const text = Buffer.from(payload).toString("utf8");
  const statement = asObject(decodeJson(text, "statement"), "statement");
  if (statement["predicateType"] !== SIGN_PREDICATE) {
    wrong(`it is no signature but a statement of type "${String(statement["predicateType"])}"`);
  }
  const isAbout = asArray(statement["subject"], "statement.subject").some((subject) => {
    const sums = asObject(asObject(subject, "subject")["digest"], "subject.digest");
    return sums[algorithmOf(digest)] === hexOf(digest);
  });
  if (!isAbout) wrong("it is a signature of something else");
};

/** What a DSSE signature is over (its protocol, "Signature Definition": PAE). */
const signedBytes = (type: string, payload: Uint8Array): Uint8Array =>
  Buffer.concat([
    Buffer.from(`DSSEv1 ${Buffer.byteLength(type)} ${type} ${payload.length} `),
    payload,
  ]);

/** Neither log entries nor timestamps are asked for, so those that are there are not looked at. */
const verifyBundle = (bundle: Bundle, key: KeyObject): void => {
  const entity = { ...toSignedEntity(bundle), tlogEntries: [], timestamps: [] };
  const publicKey = { publicKey: key, validFor: () => true };
  const none = { certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] };
  const verifier = new Verifier(
    { ...none, publicKey: () => publicKey },
    { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 },
  );
  verifier.verify(entity);
};

const checkBundle = (text: string, digest: Digest, key: KeyObject): void => {
  const bundle = bundleFromJSON(decodeJson(text, "bundle"));
  if (bundle.content.$case !== "dsseEnvelope") return wrong("its bundle has no DSSE envelope");
  const { payloadType, payload, signatures } = bundle.content.dsseEnvelope;
  if (payloadType !== IN_TOTO) wrong(`its payload is "${payloadType}"`);
  if (bundle.verificationMaterial.content.$case !== "publicKey") {
    wrong("it was made with a certificate, not with a key");
  }
  if (isEd25519(key)) {
    const [made] = signatures;
    const isGood =
      made !== undefined && isByEd25519(signedBytes(payloadType, payload), made.sig, key);
    if (!isGood) wrong("it was not made by this key");
  } else {
    verifyBundle(bundle, key);
  }
  checkStatement(payload, digest);
};

const check = (signature: Signature, digest: Digest, key: KeyObject): void => {
  if (signature.form === "bundle") checkBundle(signature.bundle, digest, key);
  else checkSimple(signature, digest, key);
};

/** The digest that is signed, when the chain leads from it to the image. */
const subjectOf = (chain: readonly string[], imageId: Digest): Digest => {
  const [first] = chain;
  if (first === undefined) return wrong("it speaks of no manifest");
  for (const [index, text] of chain.entries()) {
    const manifest = parseManifest(text);
    const next = chain[index + 1];
    const wanted = next === undefined ? imageId : digestOf(next);
    const named =
      manifest.kind === "index"
        ? manifest.manifests.map((descriptor) => descriptor.digest)
        : [manifest.config.digest];
    if (!named.includes(wanted)) wrong(`its manifest does not lead to image ${imageId}`);
  }
  return digestOf(first);
};

export interface Verification {
  readonly verified: Verified | undefined;
  /** Why signatures did not count, each once. */
  readonly reasons: readonly string[];
}

/** Tries every signature with every key. Never throws for what a registry sent. */
export const verifyProof = (
  proof: Proof,
  imageId: Digest,
  keys: readonly TrustKey[],
): Verification => {
  const reasons = new Set<string>();
  const attempt = (work: () => void): boolean => {
    try {
      work();
      return true;
    } catch (error) {
      const isOurs = error instanceof Rejected || error instanceof NaruError;
      const text = toNaruError(error).message;
      reasons.add(isOurs ? text : `it was not made by this key (${text})`);
      return false;
    }
  };
  let subject: Digest | undefined;
  attempt(() => (subject = subjectOf(proof.chain, imageId)));
  if (subject === undefined) return { verified: undefined, reasons: [...reasons] };
  const digest = subject;
  for (const key of keys) {
    const object = createPublicKey(key.pem);
    for (const signature of proof.signatures) {
      if (attempt(() => check(signature, digest, object))) {
        return { verified: { key, form: signature.form }, reasons: [] };
      }
    }
  }
  return { verified: undefined, reasons: [...reasons] };
};
