/** What a build function gave back, as results of this engine: layers and configs by platform, or an answer alone. */
import type { DockerBackend } from "#api/docker/backend.ts";
import type { Job, Returned } from "#api/docker/buildkit/jobs.ts";
import type { BuildResult } from "#build/build.ts";
import { givenAttestations } from "#api/docker/buildkit/given-attestations.ts";
import { formatInstant } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import type { Result } from "#spec/buildkit/gateway.gen.ts";
import { formatPlatform } from "#spec/image/platform.ts";

export const IMAGE_CONFIG = "containerimage.config";
/** JSON: the platforms in order, each with the name of its result. */
const PLATFORMS = "refs.platforms";

type Metadata = Readonly<Record<string, Uint8Array>>;

const configOf = (metadata: Metadata, id: string | undefined): string => {
  const own = id === undefined ? undefined : metadata[`${IMAGE_CONFIG}/${id}`];
  return Buffer.from(own ?? metadata[IMAGE_CONFIG] ?? []).toString();
};

/** Names of the results by platform; as they come where nobody says in which order. */
const orderOf = (metadata: Metadata, ids: readonly string[]): readonly string[] => {
  const text = Buffer.from(metadata[PLATFORMS] ?? []).toString();
  if (text === "") return ids;
  const { Platforms = [] } = JSON.parse(text) as { Platforms?: readonly { ID?: string }[] };
  const named = Platforms.flatMap(({ ID }) => (ID !== undefined && ids.includes(ID) ? [ID] : []));
  return [...named, ...ids.filter((id) => !named.includes(id))];
};

/** The platform under which a lone result is named; undefined where it has no name. */
const onlyName = (metadata: Metadata): string | undefined => {
  const names = Object.keys(metadata).filter((key) => key.startsWith(`${IMAGE_CONFIG}/`));
  return names.length === 1 ? names[0]?.slice(IMAGE_CONFIG.length + 1) : undefined;
};

/** What SOURCE_DATE_EPOCH says, as RFC 3339. */
const epochOf = ({ attributes }: Job): string | undefined => {
  const text = attributes["build-arg:SOURCE_DATE_EPOCH"] ?? "";
  return /^\d{1,12}$/.test(text) ? formatInstant(BigInt(text) * 1_000_000_000n) : undefined;
};

/** `ref`: "" for no files at all. Throws not_found for one that the job does not have. */
const resultOf = async (
  backend: DockerBackend,
  job: Job,
  ref: string,
  configText: string,
): Promise<BuildResult> => {
  const builds = await backend.builds();
  job.check(ref);
  const made = epochOf(job);
  if (ref === "") return builds.imageOf(undefined, configText, made);
  if (job.trees.has(ref)) return builds.imageOf(job.trees.get(ref), configText, made);
  const result = job.results.get(ref);
  if (result === undefined) {
    throw new NaruError("not_found", `there is no result "${ref}" in build "${job.ref}"`);
  }
  if (configText === "" || (result.others ?? []).length > 0) return result;
  if (backend.images.get(result.imageId).configText === configText) return result;
  // Built here, and given another config by whoever asked for it.
  const { imageId, wasHere = false } = builds.imageOf(result.chainId, configText, made);
  return { ...result, imageId, wasHere };
};

type Attested = Awaited<ReturnType<typeof givenAttestations>>;

/** Throws invalid_argument for what is attested of a result that is not among them. */
const withAttested = (
  results: ReadonlyMap<string, BuildResult>,
  attested: Attested,
): readonly BuildResult[] => {
  const stray = [...attested.keys()].find((name) => !results.has(name));
  if (stray !== undefined) {
    const reason = `there is no result "${stray}" that the frontend could attest something of`;
    throw new NaruError("invalid_argument", `${reason}: it gave ${[...results.keys()].join(", ")}`);
  }
  return [...results].map(([name, result]) => {
    const own = attested.get(name);
    return own === undefined ? result : { ...result, attested: own };
  });
};

/** Throws not_found, and invalid_argument for what cannot be attested. */
export const returnedOf = async (
  backend: DockerBackend,
  job: Job,
  given: Result | undefined,
): Promise<Returned> => {
  if (given === undefined) return { result: undefined, metadata: {} };
  const { metadata, result: one } = given;
  const attested = await givenAttestations(backend, job, given.attestations);
  if (one.case === "refs") {
    const { refs } = one.value;
    const results = new Map<string, BuildResult>();
    for (const id of orderOf(metadata, Object.keys(refs))) {
      results.set(id, await resultOf(backend, job, refs[id]?.id ?? "", configOf(metadata, id)));
    }
    const [first, ...others] = withAttested(results, attested);
    return { result: first === undefined ? undefined : { ...first, others }, metadata };
  }
  const ref = one.case === "ref" ? one.value.id : (one.value ?? "");
  const configText = configOf(metadata, onlyName(metadata));
  // Neither files nor a config: it was only asked something.
  if (ref === "" && configText === "") {
    withAttested(new Map(), attested);
    return { result: undefined, metadata };
  }
  const result = await resultOf(backend, job, ref, configText);
  const name = onlyName(metadata) ?? formatPlatform(result.platform);
  const [whole = result] = withAttested(new Map([[name, result]]), attested);
  return { result: whole, metadata };
};
