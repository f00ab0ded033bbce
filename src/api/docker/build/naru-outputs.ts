/**
 * Outputs of `naru build` beyond an image of this machine: pushed, several platforms, attested, archives and files in
 * every form that BuildKit's exporters have. Their bytes go back within the answer's lines.
 */
import { attestOptionsOf } from "#api/docker/buildkit/attest-options.ts";
import { checkExporter } from "#api/docker/buildkit/export-options.ts";
import { exportResult } from "#api/docker/buildkit/export.ts";
import { type ExporterOptions, Job } from "#api/docker/buildkit/jobs.ts";
import { stateOf } from "#api/docker/buildkit/state.ts";
import type { DockerBackend } from "#api/docker/backend.ts";
import type { BuildRequest, BuildResult } from "#build/build.ts";
import { randomHex } from "#lib/clock.ts";
import { parsePlatform } from "#spec/image/platform.ts";

export interface OutputWishes {
  readonly outputs: readonly ExporterOptions[];
  /** "provenance" and "sbom", with their options as BuildKit's clients write them. */
  readonly attest: Readonly<Record<string, string>>;
  /** None: the one of the request. */
  readonly platforms: readonly string[];
}

type Told = Readonly<Record<string, string>>;

const attributesOf = (
  { attest, platforms }: OutputWishes,
  {
    buildArgs,
    labels,
    sourceDateEpoch,
    target,
  }: Pick<BuildRequest, "buildArgs" | "labels" | "sourceDateEpoch" | "target">,
): Told =>
  Object.fromEntries([
    ...[...buildArgs].flatMap(([name, value]) =>
      value === undefined ? [] : [[`build-arg:${name}`, value]],
    ),
    ...Object.entries(labels).map(([name, value]) => [`label:${name}`, value]),
    ...Object.entries(attest).map(([name, value]) => [`attest:${name}`, value]),
    ...(target === undefined ? [] : [["target", target]]),
    ...(platforms.length > 1 ? [["multi-platform", "true"]] : []),
    ...(sourceDateEpoch === undefined
      ? []
      : [["build-arg:SOURCE_DATE_EPOCH", String(sourceDateEpoch)]]),
  ]) as Told;

/** Throws not_implemented and invalid_argument, before any work. */
export const checkWishes = ({ outputs, attest }: OutputWishes): void => {
  outputs.forEach(checkExporter);
  attestOptionsOf(
    Object.fromEntries(Object.entries(attest).map(([name, value]) => [`attest:${name}`, value])),
  );
};

/**
 * Builds for every platform, one after the other, and exports all of it. `sink` takes the bytes of outputs by their
 * place; an empty piece ends them. Gives the result of the first platform, and what the exporters tell.
 */
export const buildWide = async (
  backend: DockerBackend,
  wishes: OutputWishes,
  request: BuildRequest,
  onPlatform: (platform: string) => Promise<void>,
  sink: (position: number, data: Uint8Array) => Promise<void>,
): Promise<{ readonly result: BuildResult; readonly told: Told }> => {
  const builds = await backend.builds();
  const { nameless, sessions } = stateOf(backend);
  await using _running = nameless.enter(backend);
  const results: BuildResult[] = [];
  const job = new Job(randomHex(16));
  try {
    job.frontend = "dockerfile.v0";
    job.attributes = attributesOf(wishes, request);
    const names = request.tags.length === 0 ? {} : { name: request.tags.join(",") };
    const outputs =
      wishes.outputs.length === 0 ? [{ type: "image", attributes: {} }] : wishes.outputs;
    job.exporters = outputs.map(({ type, attributes }) => {
      const isFiles = type === "local" || type === "tar";
      return { type, attributes: isFiles ? attributes : { ...names, ...attributes } };
    });
    // The names are the index's.
    const plain = { ...request, tags: [] };
    for (const name of wishes.platforms) {
      await onPlatform(name);
      results.push(await builds.build({ ...plain, platform: parsePlatform(name) }));
    }
    const [first = await builds.build(plain), ...others] = results;
    const { credentials, signal } = request;
    const context = { backend, sessions, job, session: undefined, credentials, sink, signal };
    const result = { ...first, others };
    return { result, told: await exportResult(context, job, result) };
  } catch (error) {
    // Of the platforms before the one that failed.
    for (const { imageId, wasHere } of results) if (wasHere !== true) nameless.add(imageId);
    throw error;
  } finally {
    job.complete(undefined, {});
  }
};
