/** A build from its start to its last export, whoever asked for it. */
import type { DockerBackend } from "#api/docker/backend.ts";
import type { Attributes } from "#api/docker/buildkit/attributes.ts";
import type { CacheExport } from "#api/docker/buildkit/cache-options.ts";
import { exportCaches } from "#api/docker/buildkit/caches.ts";
import { checkExporter } from "#api/docker/buildkit/export-options.ts";
import { recordedProvenance } from "#api/docker/buildkit/attested.ts";
import { dropNameless, exportResult } from "#api/docker/buildkit/export.ts";
import type { ExporterOptions, Job } from "#api/docker/buildkit/jobs.ts";
import { resultsOf } from "#api/docker/buildkit/pack.ts";
import type { SolveContext } from "#api/docker/buildkit/solve.ts";
import { solveDefinition } from "#api/docker/buildkit/llb.ts";
import type { BuildKitState } from "#api/docker/buildkit/state.ts";
import type { BuildResult } from "#build/build.ts";

export interface JobRequest {
  /** "" asks the client's own build function, which comes by the gateway. */
  readonly frontend: string;
  /** LLB to be solved without a frontend; empty for none. */
  readonly definition?: Uint8Array;
  /** LLB of the frontend's inputs by name. */
  readonly inputs?: Readonly<Record<string, Uint8Array>>;
  readonly attributes: Attributes;
  readonly exporters: readonly ExporterOptions[];
  readonly cacheExports?: readonly CacheExport[];
  /** "" for none. */
  readonly session: string;
  readonly signal: AbortSignal;
  /** A tar in place of the client's directory. */
  readonly upload?: AsyncIterable<Uint8Array>;
}

export const contextOf = async (
  backend: DockerBackend,
  { sessions }: BuildKitState,
  job: Job,
  session: string,
  signal: AbortSignal,
): Promise<SolveContext> => ({
  backend,
  sessions,
  job,
  session: session === "" ? undefined : await sessions.get(session, signal),
  signal,
});

const resultOf = async (
  context: SolveContext,
  request: JobRequest,
): Promise<BuildResult | undefined> => {
  const { job, signal } = context;
  if (request.frontend !== "") {
    const { frontend, attributes, inputs = {} } = request;
    const { solveFrontend } = await import("#api/docker/buildkit/frontend.ts");
    const solved = await solveFrontend(context, { frontend, attributes, inputs });
    return solved.kind === "image" ? solved.result : undefined;
  }
  if (request.definition !== undefined && request.definition.length > 0) {
    const chainId = await solveDefinition(context, request.definition, job.held);
    return (await context.backend.builds()).imageOf(chainId, "");
  }
  job.begun.resolve({ session: request.session, signal });
  const gone = Promise.withResolvers<never>();
  const leave = (): void => gone.reject(signal.reason);
  signal.addEventListener("abort", leave, { once: true });
  try {
    return (await Promise.race([job.returned.promise, gone.promise])).result;
  } finally {
    signal.removeEventListener("abort", leave);
  }
};

/** Every platform's image with its own steps inside. */
const withInlineCache = async (
  context: SolveContext,
  result: BuildResult,
): Promise<BuildResult> => {
  const builds = await context.backend.builds();
  const done: BuildResult[] = [];
  for (const one of resultsOf(result)) {
    done.push(builds.inlineCache(one));
    dropNameless(context, one);
  }
  const [first = result, ...others] = done;
  return { ...first, others };
};

/**
 * What the exporters tell the client. The job's status ends with it, also when `understand` refuses what was asked
 * for: who follows the status, or came by the gateway, would wait for ever otherwise.
 */
export const runJob = async (
  backend: DockerBackend,
  state: BuildKitState,
  job: Job,
  understand: () => JobRequest,
): Promise<Readonly<Record<string, string>>> => {
  await using _running = state.nameless.enter(backend);
  let failure: unknown;
  let response: Record<string, string> = {};
  let results: readonly BuildResult[] = [];
  try {
    const request = understand();
    job.frontend = request.frontend;
    job.attributes = request.attributes;
    job.exporters = request.exporters;
    request.exporters.forEach(checkExporter);
    const { session, signal, upload } = request;
    const base = await contextOf(backend, state, job, session, signal);
    const context = upload === undefined ? base : { ...base, upload };
    const plain = await resultOf(context, request);
    if (plain === undefined) return response;
    results = resultsOf(plain);
    const cacheExports = request.cacheExports ?? [];
    const isInline =
      cacheExports.some(({ kind }) => kind === "inline") ||
      job.attributes["build-arg:BUILDKIT_INLINE_CACHE"] === "1";
    const result = isInline ? await withInlineCache(context, plain) : plain;
    const solved = resultsOf(result).flatMap((one) => one.solved);
    const whole = { ...result, solved };
    response = await exportResult(context, job, result);
    return { ...response, ...(await exportCaches(context, cacheExports, whole)) };
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    // What a build function had made on its way, also to a failure; what its exporters keep stays.
    for (const { imageId, wasHere } of [...job.results.values()].flatMap(resultsOf)) {
      if (wasHere !== true) state.nameless.add(imageId);
    }
    try {
      await job.containers.close();
    } finally {
      // Who follows its status waits for that.
      job.complete(failure, response);
      await remember(backend, state, job, results);
    }
  }
};

/** From here on the history has the build, and its words lie on the disk. */
const remember = async (
  backend: DockerBackend,
  { jobs }: BuildKitState,
  job: Job,
  results: readonly BuildResult[],
): Promise<void> => {
  if (!job.isInternal) {
    const { history } = await backend.builds();
    try {
      history.add(job.record(), job.log.packed(), recordedProvenance(job, results));
      jobs.remove(job.ref);
      return;
    } catch (error) {
      // A full disk: the build is told as it ended, and stays in memory for a while.
      backend.logger.warn("a build could not be kept in the history", { ref: job.ref, error });
    }
  }
  jobs.changed();
};
