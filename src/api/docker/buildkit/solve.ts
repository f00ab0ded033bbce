/** A build as a client of BuildKit asks for it: inputs from its session, progress into its status. */
import type { Attributes } from "#api/docker/buildkit/attributes.ts";
import { decodeAttributes } from "#api/docker/buildkit/attributes.ts";
import { openCaches } from "#api/docker/buildkit/caches.ts";
import { tellWarnings } from "#api/docker/buildkit/checks.ts";
import {
  type InputSources,
  type ReadDockerfile,
  readContext,
  readDockerfile,
  readNamedContexts,
} from "#api/docker/buildkit/inputs.ts";
import { readImageContext } from "#api/docker/buildkit/image-contexts.ts";
import type { Job } from "#api/docker/buildkit/jobs.ts";
import { credentialsOf, secretOf } from "#api/docker/buildkit/session-services.ts";
import { sshSocketsOf } from "#api/docker/buildkit/ssh.ts";
import { answerQuestion } from "#api/docker/buildkit/questions.ts";
import { dropNameless } from "#api/docker/buildkit/export.ts";
import type { ClientSession, Sessions } from "#api/docker/buildkit/sessions.ts";
import type { DockerBackend } from "#api/docker/backend.ts";
import { rangeAt, sourceDetail } from "#api/docker/buildkit/source-detail.ts";
import { StepVertices, inBuildKitsWords } from "#api/docker/buildkit/vertices.ts";
import { type BuildRequest, type BuildResult, BuildStepError, type Builds } from "#build/build.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { DockerfileError } from "#spec/dockerfile/error.ts";
import { parseDockerfile } from "#spec/dockerfile/parse.ts";
import { isBuiltIn, syntaxOf } from "#spec/dockerfile/syntax.ts";
import { type Platform, formatPlatform } from "#spec/image/platform.ts";

export interface SolveContext {
  readonly backend: DockerBackend;
  readonly sessions: Sessions;
  readonly job: Job;
  readonly session: ClientSession | undefined;
  /** See `InputSources.upload`. */
  readonly upload?: AsyncIterable<Uint8Array>;
  /** LLB by name, for contexts that are "input:NAME". */
  readonly inputs?: Readonly<Record<string, Uint8Array>>;
  readonly signal: AbortSignal;
  /** Where the client has no session: takes the bytes of output `position`; an empty piece ends them. */
  readonly sink?: (position: number, data: Uint8Array) => Promise<void>;
  /** By registry, where the client has no session to ask. */
  readonly credentials?: ReadonlyMap<string, AuthConfig>;
  /** How many frontends asked each other for this. */
  readonly depth?: number;
}

/** A failed command in BuildKit's words, with its place; one in a Dockerfile that makes no sense goes below the message. */
const inWords = (thrown: unknown, read: ReadDockerfile): unknown => {
  const error = toNaruError(thrown);
  const frame = error.details["frame"];
  if (typeof frame === "string") {
    const message = `${error.message}\n\n${frame}\n`;
    return new NaruError(error.code, message, { cause: thrown, details: error.details });
  }
  if (!(thrown instanceof BuildStepError)) return thrown;
  const message = inBuildKitsWords(error.message);
  const range = rangeAt(parseDockerfile(read.text), thrown.step.line);
  const place = range && sourceDetail(read.filename, read.text, range);
  return new NaruError("internal", message, {
    cause: thrown,
    details: { ...error.details, isUsers: true, statusDetails: place === undefined ? [] : [place] },
  });
};

/** Images whose registries may want credentials: those that are not here. */
const imagesToFetch = (
  { images }: DockerBackend,
  names: readonly string[],
  isPulled: boolean,
): readonly string[] =>
  names.filter((name) => {
    if (isPulled) return true;
    try {
      return images.find(name) === undefined;
    } catch {
      // With variables in it, or no name at all.
      return false;
    }
  });

/** A `# syntax=` that names another language than the built-in one; one that a frontend was asked for already is done. */
const forwardOf = (read: ReadDockerfile, attributes: Attributes): Forward | undefined => {
  if (attributes["cmdline"] !== undefined) return undefined;
  const asked = attributes["build-arg:BUILDKIT_SYNTAX"] ?? syntaxOf(read.text);
  const [source = ""] = asked.trim().split(/\s/, 1);
  if (source === "" || isBuiltIn(source)) return undefined;
  return { kind: "forward", source, commandLine: asked.trim() };
};

/** What the subrequests of the frontend answer with, by key. */
export type Answer = ReadonlyMap<string, Uint8Array>;

export type Solved =
  | { readonly kind: "image"; readonly result: BuildResult }
  | { readonly kind: "answer"; readonly metadata: Answer };

/** Another frontend is to be asked: the image that it is in, and what the Dockerfile says beside it. */
export interface Forward {
  readonly kind: "forward";
  readonly source: string;
  readonly commandLine: string;
}

/** All platforms at once; what they have in common is run once. The first that fails ends the others. */
const buildAll = async (
  context: SolveContext,
  builds: Builds,
  platforms: readonly (Platform | undefined)[],
  requestFor: (platform: Platform | undefined, steps: StepVertices) => BuildRequest,
): Promise<[BuildResult, ...BuildResult[]]> => {
  const { log, ref, steps } = context.job;
  const stop = new AbortController();
  const running = platforms.map(async (platform) => {
    const isOnly = platforms.length === 1 || platform === undefined;
    const own = isOnly ? steps : new StepVertices(log, ref, formatPlatform(platform), steps.counts);
    const request = requestFor(platform, own);
    const signal = AbortSignal.any([request.signal, stop.signal]);
    try {
      return await builds.build({ ...request, signal });
    } catch (error) {
      stop.abort(error);
      throw error;
    }
  });
  const ended = await Promise.allSettled(running);
  if (stop.signal.aborted) {
    for (const one of ended) if (one.status === "fulfilled") dropNameless(context, one.value);
    throw stop.signal.reason;
  }
  const [first, ...others] = await Promise.all(running);
  if (first === undefined) throw new NaruError("internal", "a build without a platform");
  return [first, ...others];
};

/** The built-in frontend. The image is registered under no name: exporters name it. */
export const solve = async (
  context: SolveContext,
  attributes: Attributes,
): Promise<Solved | Forward> => {
  const { backend, sessions, job, session, signal } = context;
  const options = decodeAttributes(attributes);
  const builds = await backend.builds();
  using held = new DisposableStack();
  const { log, ref: build } = job;
  const sources: InputSources = {
    builds,
    sessions,
    session,
    options,
    log,
    build,
    signal,
    upload: context.upload,
    held,
  };
  const read = await readDockerfile(sources);
  const forward = forwardOf(read, attributes);
  if (forward !== undefined) return forward;
  if (options.question !== undefined) {
    return { kind: "answer", metadata: answerQuestion(backend.images, read, options) };
  }
  try {
    const dockerfile = parseDockerfile(read.text);
    job.warnings += await tellWarnings(backend.images, log, read, dockerfile, options);
    const bases = dockerfile.stages.map((stage) => stage.from.base.text);
    const wanted = imagesToFetch(backend, bases, options.isPulled);
    const [imports, tree, namedContexts, sshSockets, credentials] = [
      await openCaches(context, attributes),
      await readContext(sources, read, dockerfile),
      await readNamedContexts(sources, (source) => readImageContext(context, source, held)),
      await sshSocketsOf(backend, session, dockerfile, held, signal),
      await credentialsOf(session, wanted, signal),
    ];
    const platforms = options.platforms.length > 1 ? options.platforms : [options.platforms[0]];
    const requestFor = (platform: Platform | undefined, steps: StepVertices): BuildRequest => ({
      ...options,
      platform,
      context: tree,
      dockerfile: read.text,
      tags: [],
      credentials,
      namedContexts,
      secrets: (id) => secretOf(session, id, signal),
      sshSockets,
      imports,
      keepsStepImages: false,
      entitlements: job.entitlements,
      signal,
      onEvent: (event) => steps.take(event),
    });
    const [result, ...others] = await buildAll(context, builds, platforms, requestFor);
    return { kind: "image", result: { ...result, others } };
  } catch (error) {
    if (error instanceof DockerfileError) {
      await read.vertex.output(2, Buffer.from(`${error.message}\n${error.frame}\n`));
    }
    throw inWords(error, read);
  }
};
