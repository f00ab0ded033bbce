/**
 * Which images may be pulled and run: the manual of this room.
 *
 * A *policy* is a JSON file of rules by prefix of names; the longest prefix wins, "*" is for all other names, and
 * where no rule fits (or the file is absent) an image is allowed:
 *
 *     { "rules": {
 *         "ghcr.io/acme":      { "action": "signed", "keys": ["acme.pub"], "reason": "ours" },
 *         "docker.io/library": { "action": "allow" },
 *         "*":                 { "action": "block", "reason": "ask security@acme.example first" } } }
 *
 * The file is looked at anew at each question, and read again when it or a key has changed. One that cannot be read
 * refuses everything: a mistake in it must not open the door (failed_precondition, with what is wrong).
 *
 * *Signed* means that one of the rule's public keys (PEM; ECDSA P-256, Ed25519, RSA) has signed the digest of the
 * image's manifest or of the index that lists it, in one of the forms that cosign writes: simple signing (a tag
 * `sha256-….sig`) or a sigstore bundle (a referrer). The signature stands for the digest, whatever name it has.
 * Certificates and transparency logs are not asked: whoever has the key is trusted.
 *
 * A *proof* is what a signature was found with, kept beside the image: it is verified again, with the keys of then,
 * each time a container or a build starts from the image. It says nothing by itself; who forges one needs the key.
 */
import type { Digest } from "#spec/image/digest.ts";

export type TrustAction = "allow" | "block" | "signed";

export interface TrustRule {
  readonly action: TrustAction;
  /** Absolute paths. Not empty where `action` is "signed". */
  readonly keys: readonly string[];
  /** For people. */
  readonly reason: string | undefined;
}

export interface TrustPolicy {
  /** By prefix as it is written in the file. */
  readonly rules: Readonly<Record<string, TrustRule>>;
}

/** What the policy says of one name. */
export interface Verdict {
  /** "*" where no other rule fits; undefined: no rule at all. */
  readonly prefix: string | undefined;
  readonly rule: TrustRule;
}

export type Signature =
  | {
      readonly form: "simple-signing";
      /** The signed bytes and the signature, both base64. */
      readonly payload: string;
      readonly signature: string;
    }
  /** The bundle's JSON. */
  | { readonly form: "bundle"; readonly bundle: string };

export interface Proof {
  /** Manifests as they are, from the signed one to the image's own. */
  readonly chain: readonly string[];
  readonly signatures: readonly Signature[];
}

/** A public key of a rule. */
export interface TrustKey {
  readonly path: string;
  /** "SHA256:…" of its DER form, as other tools show it. */
  readonly fingerprint: string;
  /** "ECDSA P-256", "Ed25519", "RSA 3072". */
  readonly kind: string;
  readonly pem: string;
}

export interface Verified {
  readonly key: TrustKey;
  readonly form: Signature["form"];
}

export interface Trust {
  /** The policy's file, whether it is there or not. */
  readonly path: string;
  /** undefined: there is no file. Throws failed_precondition when it is no policy. */
  policy(): TrustPolicy | undefined;
  /** Of a repository ("docker.io/library/alpine"). Throws as `policy` does. */
  verdict(repository: string): Verdict;
  /** Those of a rule, as they are now. */
  keys(rule: TrustRule): readonly TrustKey[];
  /** Proofs that the daemon keeps, by image id. Absent: undefined. */
  proof(imageId: Digest): Proof | undefined;
  /** `isKept`: proofs of other images go. */
  keep(imageId: Digest, proof: Proof, isKept: (imageId: Digest) => boolean): void;
}
