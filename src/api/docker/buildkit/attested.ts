/** What is attested of a result: how it came about, and what it holds. */
import { type AttestOptions, attestOptionsOf } from "#api/docker/buildkit/attest-options.ts";
import type { SolveContext } from "#api/docker/buildkit/solve.ts";
import { ShownVertex } from "#api/docker/buildkit/vertices.ts";
import type { Job } from "#api/docker/buildkit/jobs.ts";
import { PROVENANCE_TYPES, type ProvenanceOptions, provenance } from "#build/attest/provenance.ts";
import { SPDX_TYPE, spdxDocument } from "#build/attest/spdx.ts";
import type { BuildResult } from "#build/build.ts";
import type { NewAttestation } from "#build/history.ts";
import type { Attestation } from "#image/bundle-index.ts";
import { formatInstant, nowNs } from "#lib/clock.ts";
import { VERSION } from "#lib/version.ts";
import { HOST_PLATFORM, formatPlatform } from "#spec/image/platform.ts";

const PLAIN: ProvenanceOptions = {
  mode: "max",
  version: "v0.2",
  builderId: "",
  isReproducible: false,
};

const instantOf = (ms: number): string => formatInstant(BigInt(ms) * 1_000_000n);

const provenanceOf = (
  { job }: Pick<SolveContext, "job">,
  result: BuildResult,
  options: NonNullable<AttestOptions["provenance"]>,
): Attestation => {
  const { attributes, ref, frontend, startedMs } = job;
  const facts = {
    invocationId: ref,
    startedAt: instantOf(startedMs),
    finishedAt: formatInstant(nowNs()),
    platform: formatPlatform(HOST_PLATFORM),
    frontend: frontend === "" ? "dockerfile.v0" : frontend,
    attributes,
    materials: result.materials,
    dockerfile: { name: attributes["filename"] || "Dockerfile", text: result.dockerfile },
    steps: result.solved,
  };
  return {
    predicateType: PROVENANCE_TYPES[options.version],
    predicate: provenance(facts, options),
  };
};

const sbomOf = async (context: SolveContext, result: BuildResult): Promise<Attestation> => {
  const { backend, job, signal } = context;
  const builds = await backend.builds();
  const platform = formatPlatform(result.platform);
  const vertex = new ShownVertex(job.log, job.ref, `[${platform}] generating sbom`);
  return await vertex.around(async () => {
    const { packages, distribution } = await builds.scan(result.chainId, signal);
    await vertex.status(`${packages.length} packages`, 0, 0, true);
    const facts = {
      name: result.imageId,
      createdAt: instantOf(job.startedMs),
      tool: `naru-${VERSION}`,
      distribution,
    };
    return { predicateType: SPDX_TYPE, predicate: spdxDocument(packages, facts) };
  });
};

/** What is to be attested where `isInline` says that default attestations have a place, too. */
const wantedOf = ({ job }: SolveContext, isInline: boolean): AttestOptions => {
  const options = attestOptionsOf(job.attributes);
  const isLeftOut = options.isProvenanceInline && !isInline;
  return isLeftOut ? { ...options, provenance: undefined } : options;
};

/** How each result came about, in full, for the build's record: kept whether or not it was asked for. */
export const recordedProvenance = (
  job: Job,
  results: readonly BuildResult[],
): readonly NewAttestation[] => {
  const wanted = attestOptionsOf(job.attributes).provenance ?? PLAIN;
  return results.map((result) => {
    const { predicateType, predicate } = provenanceOf({ job }, result, { ...wanted, mode: "max" });
    const platform = formatPlatform(result.platform);
    return { platform, predicateType, content: Buffer.from(JSON.stringify(predicate)) };
  });
};

/** Its maker's, the software, then the provenance, as BuildKit has them. Empty where there is nothing to say. */
export const attestationsOf = async (
  context: SolveContext,
  result: BuildResult,
  isInline: boolean,
): Promise<readonly Attestation[]> => {
  const { provenance: wanted, hasSbom } = wantedOf(context, isInline);
  return [
    ...madeOf(result, isInline),
    ...(hasSbom ? [await sbomOf(context, result)] : []),
    ...(wanted === undefined ? [] : [provenanceOf(context, result, wanted)]),
  ];
};

const madeOf = ({ attested = [] }: BuildResult, isInline: boolean): readonly Attestation[] =>
  attested.filter(({ isInlineOnly }) => isInline || isInlineOnly !== true);

/** Anything is, of any of its platforms. */
export const isAttested = (
  context: SolveContext,
  result: BuildResult,
  isInline: boolean,
): boolean => {
  const { provenance: wanted, hasSbom } = wantedOf(context, isInline);
  const isMade = [result, ...(result.others ?? [])].some((one) => madeOf(one, isInline).length > 0);
  return isMade || hasSbom || wanted !== undefined;
};
