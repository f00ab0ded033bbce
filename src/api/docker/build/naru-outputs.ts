/**
 * Outputs of `naru build` beyond an image of this machine: pushed, several platforms, attested, archives and files in
 * every form that BuildKit's exporters have. Their bytes go back within the answer's lines.
 */
import { attestOptionsOf } from "#api/docker/buildkit/attest-options.ts";
import { checkExporter } from "#api/docker/buildkit/export-options.ts";
import { exportResult } from "#api/docker/buildkit/export.ts";
import { type ExporterOptions, Job } from "#api/docker/buildkit/jobs.ts";
import { PlatformEvents } from "#api/docker/build/platform-events.ts";
import { buildSideBySide } from "#api/docker/buildkit/side-by-side.ts";
import { stateOf } from "#api/docker/buildkit/state.ts";
import type { DockerBackend } from "#api/docker/backend.ts";
import type { BuildEvent, BuildRequest, BuildResult } from "#build/build.ts";
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

/** Of no platform: that of the request. */
const requestsOf = (
  request: BuildRequest,
  given: readonly string[],
): { readonly requests: readonly BuildRequest[]; readonly events: PlatformEvents | undefined } => {
  const platforms = [...new Set(given)];
  const [only] = platforms;
  if (platforms.length < 2) {
    const platform = only === undefined ? request.platform : parsePlatform(only);
    return { requests: [{ ...request, platform }], events: undefined };
  }
  const events = new PlatformEvents(platforms, async (event) => await request.onEvent(event));
  const requests = platforms.map((name) => ({
    ...request,
    platform: parsePlatform(name),
    onEvent: (event: BuildEvent) => events.take(name, event),
  }));
  return { requests, events };
};

/**
 * Builds for every platform, side by side, and exports all of it. `sink` takes the bytes of outputs by their
 * place; an empty piece ends them. Gives the result of the first platform, and what the exporters tell.
 */
export const buildWide = async (
  backend: DockerBackend,
  wishes: OutputWishes,
  request: BuildRequest,
  sink: (position: number, data: Uint8Array) => Promise<void>,
): Promise<{ readonly result: BuildResult; readonly told: Told }> => {
  const builds = await backend.builds();
  const { nameless, sessions } = stateOf(backend);
  await using _running = nameless.enter(backend);
  const drop = ({ imageId, wasHere }: BuildResult): void => {
    if (wasHere !== true) nameless.add(imageId);
  };
  let results: readonly BuildResult[] = [];
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
    const { requests, events } = requestsOf({ ...request, tags: [] }, wishes.platforms);
    const onFailure = (error: unknown): void => events?.abort(error);
    const [first, ...others] = await buildSideBySide(builds, requests, { drop, onFailure });
    results = [first, ...others];
    const { credentials, signal } = request;
    const context = { backend, sessions, job, session: undefined, credentials, sink, signal };
    const result = { ...first, others };
    return { result, told: await exportResult(context, job, result) };
  } catch (error) {
    results.forEach(drop);
    throw error;
  } finally {
    job.complete(undefined, {});
  }
};
