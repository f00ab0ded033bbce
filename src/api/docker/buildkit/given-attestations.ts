/**
 * What a frontend attests of its results by itself: an in-toto predicate that lies in a result, or a directory of
 * whole statements. Read when it is given back, so that nothing of the build has to stay for it.
 */
import { posix } from "node:path";
import type { DockerBackend } from "#api/docker/backend.ts";
import type { Job } from "#api/docker/buildkit/jobs.ts";
import type { ResultFiles } from "#build/result-files.ts";
import type { AttestedSubject, Attestation } from "#image/bundle-index.ts";
import { NaruError } from "#lib/errors.ts";
import type { Attestation as GivenAttestation, Result } from "#spec/buildkit/gateway.gen.ts";

const [IN_TOTO, BUNDLE] = [0, 1];
const SELF = 0;
const ATTESTATION_MAX_BYTES = 40 * 1024 * 1024;
/** Of all that one build attests: they are in memory until it is over. */
const TOTAL_MAX_BYTES = 256 * 1024 * 1024;
const COUNT_MAX = 1000;
/** Beyond it, files are of no common kind (Go's os.FileMode). */
const GO_TYPE_BITS = 2 ** 24;
const PROVENANCE = "https://slsa.dev/provenance/";
const INLINE_ONLY = "inline-only";
/** Metadata: the file of a bundle that the others belong to. */
const SBOM_CORE = "sbom-core";

const refuse = (reason: string): NaruError =>
  new NaruError("invalid_argument", `an attestation of the frontend ${reason}`);

/** What is read of one build. */
interface Taken {
  readonly files: ResultFiles;
  /** Throws what it is too much for. */
  readonly count: (sizeBytes: number) => void;
}

const counter = (): Taken["count"] => {
  let [documents, totalBytes] = [0, 0];
  return (sizeBytes) => {
    documents += 1;
    totalBytes += sizeBytes;
    if (documents > COUNT_MAX) throw refuse(`is one of more than ${COUNT_MAX}`);
    if (totalBytes > TOTAL_MAX_BYTES) {
      throw refuse(`is one of several with more than ${TOTAL_MAX_BYTES} bytes together`);
    }
  };
};

const readFile = ({ files, count }: Taken, path: string): string => {
  const { goMode, sizeBytes } = files.stat(path);
  if (goMode >= GO_TYPE_BITS) throw refuse(`is at "${path}", which is not a regular file`);
  if (sizeBytes > ATTESTATION_MAX_BYTES) {
    throw refuse(`at "${path}" is larger than ${ATTESTATION_MAX_BYTES} bytes`);
  }
  count(sizeBytes);
  return Buffer.concat([...files.read(path)]).toString("utf8");
};

const decode = (text: string, path: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new NaruError("invalid_argument", `"${path}" of an attestation is not JSON`, { cause });
  }
};

/** "sha256:…" by its algorithm. */
const digestsOf = (digests: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    digests.map((digest) => {
      const [algorithm = "", hex = ""] = digest.split(":");
      if (hex === "") throw refuse(`has a subject with the digest "${digest}"`);
      return [algorithm, hex];
    }),
  );

const checkType = (predicateType: string): void => {
  if (!predicateType.startsWith(PROVENANCE)) return;
  throw refuse(`is provenance ("${predicateType}"), which the engine alone makes: --provenance`);
};

const isInlineOnly = ({ metadata }: GivenAttestation): boolean =>
  Buffer.from(metadata[INLINE_ONLY] ?? []).toString() === "true";

const inToto = (taken: Taken, given: GivenAttestation): Attestation => {
  const { path, inTotoPredicateType: predicateType, inTotoSubjects } = given;
  if (path === "") throw refuse("has no path");
  checkType(predicateType);
  const text = readFile(taken, path);
  const subjects = inTotoSubjects.map(({ kind, name, digest }): AttestedSubject =>
    kind === SELF ? { isSelf: true, name } : { isSelf: false, name, digest: digestsOf(digest) },
  );
  return {
    predicateType,
    predicate: text === "" ? null : (decode(text, path) as object),
    subjects,
    fileName: posix.basename(path),
    isInlineOnly: isInlineOnly(given),
  };
};

interface Statement {
  readonly predicateType?: string;
  readonly predicate?: object | null;
  readonly subject?: readonly {
    readonly name?: string;
    readonly digest?: Record<string, string>;
  }[];
}

const bundle = (taken: Taken, given: GivenAttestation): Attestation[] => {
  const { path, inTotoPredicateType: wanted, metadata } = given;
  const core = Buffer.from(metadata[SBOM_CORE] ?? []).toString();
  const found = taken.files.list(path || "/").map(({ path: fileName }): Attestation => {
    const at = posix.join("/", path, fileName);
    const statement = decode(readFile(taken, at), at) as Statement | null;
    const { predicateType = "", predicate = null, subject = [] } = statement ?? {};
    if (wanted !== "" && predicateType !== wanted) {
      throw refuse(`at "${at}" is "${predicateType}", not "${wanted}" as it was said to be`);
    }
    checkType(predicateType);
    const subjects = subject.map(({ name = "", digest = {} }): AttestedSubject => ({
      isSelf: false,
      name,
      digest,
    }));
    return { predicateType, predicate, subjects, fileName, isInlineOnly: isInlineOnly(given) };
  });
  const isCore = ({ fileName = "" }: Attestation): boolean =>
    core !== "" && fileName.split(".")[0] === core;
  return [...found.filter(isCore), ...found.filter((one) => !isCore(one))];
};

/** By the name of the result that they speak of. Throws invalid_argument, and not_found for results that are not there. */
export const givenAttestations = async (
  backend: DockerBackend,
  job: Job,
  given: Result["attestations"],
): Promise<ReadonlyMap<string, readonly Attestation[]>> => {
  const builds = await backend.builds();
  const found = new Map<string, readonly Attestation[]>();
  const count = counter();
  for (const [name, { attestation }] of Object.entries(given)) {
    const list = attestation.flatMap((one): Attestation[] => {
      const { ref, kind } = one;
      if (ref === undefined || ref.id === "") throw refuse("has no result that it lies in");
      using files = builds.resultFiles(job.treeOf(ref.id));
      const taken = { files, count };
      if (kind === BUNDLE) return bundle(taken, one);
      if (kind === IN_TOTO) return [inToto(taken, one)];
      throw new NaruError("not_implemented", `attestations of kind ${kind} are not supported`);
    });
    found.set(name, list);
  }
  return found;
};
