/** The trust policy where images come in and where they are used. What it means: `#trust/trust.ts`. */
import { refuseArtifact } from "#image/artifact.ts";
import type { ImageRecord } from "#image/image.ts";
import { NaruError } from "#lib/errors.ts";
import type { Repository } from "#remote/remote.ts";
import { type Digest, digestOf, hexOf } from "#spec/image/digest.ts";
import {
  type Reference,
  familiarName,
  familiarString,
  parseAnyReference,
  parseReference,
  repositoryOf,
} from "#spec/image/reference.ts";
import type { Proof, Trust, TrustKey, Verdict, Verified } from "#trust/trust.ts";

const ruleText = (trust: Trust, { prefix, rule }: Verdict): string => {
  const reason = rule.reason === undefined ? "" : ` (${rule.reason})`;
  return `the rule "${prefix ?? "*"}" of the trust policy "${trust.path}"${reason}`;
};

const refused = (verdict: Verdict, message: string): NaruError =>
  new NaruError("permission_denied", message, {
    details: { trustRule: verdict.prefix ?? "*", trustAction: verdict.rule.action },
  });

/** What the policy says of the name. Throws permission_denied for a blocked one. */
export const checkName = (trust: Trust, reference: Reference): Verdict => {
  const verdict = trust.verdict(repositoryOf(reference));
  if (verdict.rule.action !== "block") return verdict;
  throw refused(
    verdict,
    `image "${familiarString(reference)}" is blocked by ${ruleText(trust, verdict)}: take it from a place that is allowed, or change the rule, which counts at once`,
  );
};

/** What a pull is about to take, or has taken before. */
export interface Candidate {
  readonly imageId: Digest;
  /** What the name stands for: an index's digest where there is one. */
  readonly digest: Digest;
  /** The image's own manifest, as it is; asked for when it is needed. */
  readonly manifestText: () => Promise<string>;
}

export interface Proven {
  readonly proof: Proof;
  readonly verified: Verified;
}

const keptProof = async (
  trust: Trust,
  imageId: Digest,
  keys: readonly TrustKey[],
): Promise<Proven | undefined> => {
  const proof = trust.proof(imageId);
  if (proof === undefined) return undefined;
  const { verifyProof } = await import("#trust/verify.ts");
  const { verified } = verifyProof(proof, imageId, keys);
  return verified === undefined ? undefined : { proof, verified };
};

const findProof = async (
  chain: readonly string[],
  imageId: Digest,
  keys: readonly TrustKey[],
  repository: Repository,
  signal: AbortSignal,
): Promise<Proven | readonly string[]> => {
  const { findSignatures } = await import("#image/signatures.ts");
  const { verifyProof } = await import("#trust/verify.ts");
  const reasons = new Set<string>();
  for (const [at, text] of chain.entries()) {
    const signatures = await findSignatures(repository, digestOf(text), signal);
    if (signatures.length === 0) continue;
    const proof = { chain: chain.slice(at), signatures };
    const { verified, reasons: why } = verifyProof(proof, imageId, keys);
    if (verified !== undefined) return { proof, verified };
    for (const reason of why) reasons.add(reason);
  }
  return [...reasons];
};

/**
 * The signature that `verdict` asks for: the one that was kept, or one from the registry, of the index or of the
 * image's own manifest. undefined where none is asked for. Throws permission_denied when none is by the rule's keys.
 */
export const proveImage = async (
  trust: Trust,
  repository: Repository,
  verdict: Verdict,
  { imageId, digest, manifestText }: Candidate,
  signal: AbortSignal,
): Promise<Proven | undefined> => {
  if (verdict.rule.action !== "signed") return undefined;
  const keys = trust.keys(verdict.rule);
  const kept = await keptProof(trust, imageId, keys);
  if (kept !== undefined) return kept;
  const own = await manifestText();
  const above = digestOf(own) === digest ? [] : [(await repository.manifest(digest, signal)).text];
  const found = await findProof([...above, own], imageId, keys, repository, signal);
  if ("proof" in found) return found;
  const { reference } = repository;
  const why =
    found.length === 0
      ? "its registry has no signature of it"
      : `no signature counts: ${found.join("; ")}`;
  throw refused(
    verdict,
    `image "${familiarString(reference)}" (${digest}) must be signed by ${ruleText(trust, verdict)}, but ${why}: sign it (cosign sign --key KEY ${familiarName(reference)}@${digest}), or change the rule, which counts at once`,
  );
};

/** "signature of cosign.pub (ECDSA P-256 SHA256:…) verified", for those who watch a pull. */
export const provenText = ({ verified: { key, form } }: Proven): string =>
  `Signature verified: ${form}, key ${key.path.slice(key.path.lastIndexOf("/") + 1)} (${key.kind}, ${key.fingerprint})`;

/** The repositories that the image is used from: the one that was typed, or all where that was an id. */
const namesUsed = (typed: string, record: ImageRecord): readonly string[] => {
  const all = [...record.repoTags, ...record.repoDigests].map((name) =>
    repositoryOf(parseReference(name)),
  );
  const any = parseAnyReference(typed);
  const wanted = any.kind === "id" ? "" : repositoryOf(any.reference);
  return all.includes(wanted) ? [wanted] : all;
};

/** Why the image may not be used under this verdict; undefined: it may. */
const objection = async (
  trust: Trust,
  verdict: Verdict,
  imageId: Digest,
): Promise<string | undefined> => {
  const proof = trust.proof(imageId);
  if (proof === undefined) return "no signature of it was verified here";
  const { verifyProof } = await import("#trust/verify.ts");
  const { verified, reasons } = verifyProof(proof, imageId, trust.keys(verdict.rule));
  return verified === undefined ? reasons.join("; ") : undefined;
};

const ANONYMOUS = "<none>";

const admitName = async (trust: Trust, repository: string, imageId: Digest): Promise<void> => {
  const isNamed = repository !== ANONYMOUS;
  const verdict = isNamed
    ? checkName(trust, parseReference(repository))
    : trust.verdict(repository);
  const { action } = verdict.rule;
  if (action === "allow") return;
  const name = isNamed ? familiarName(parseReference(repository)) : imageId;
  if (action === "block") {
    throw refused(
      verdict,
      `image "${name}" has no name and is blocked by ${ruleText(trust, verdict)}: tag it with a name that is allowed, or change the rule, which counts at once`,
    );
  }
  const why = await objection(trust, verdict, imageId);
  if (why === undefined) return;
  throw refused(
    verdict,
    `image "${name}" must be signed by ${ruleText(trust, verdict)}, but ${why}: pull it again, which looks for its signature, or sign it, or change the rule, which counts at once`,
  );
};

const admitNames = async (
  trust: Trust,
  names: readonly string[],
  imageId: Digest,
): Promise<void> => {
  for (const name of names.length === 0 ? [ANONYMOUS] : new Set(names)) {
    await admitName(trust, name, imageId);
  }
};

/**
 * Whether containers and builds may start from the image, used as `typed`. By an id, all names of the image must
 * allow it; without a name the rule "*" decides. Throws permission_denied; invalid_argument for an artifact.
 */
export const admitUse = async (trust: Trust, typed: string, record: ImageRecord): Promise<void> => {
  refuseArtifact(typed, record.config);
  if (trust.policy() === undefined) return;
  await admitNames(trust, namesUsed(typed, record), record.id);
};

/** Whether `typed` is the image's id, or the beginning of it. */
const isIdOf = (typed: string, imageId: Digest): boolean =>
  imageId.startsWith(typed) || hexOf(imageId).startsWith(typed);

/**
 * As `admitUse`, for a container that is there already and was made from `typed`. That name counts also when it
 * stands for another image by now, or the image has gone (`record` undefined).
 */
export const admitAgain = async (
  trust: Trust,
  typed: string,
  imageId: Digest,
  record: ImageRecord | undefined,
): Promise<void> => {
  if (trust.policy() === undefined) return;
  const isById = isIdOf(typed, imageId) || parseAnyReference(typed).kind === "id";
  const names = record === undefined ? [] : namesUsed(typed, record);
  await admitNames(trust, isById ? names : [repositoryOf(parseReference(typed))], imageId);
};
