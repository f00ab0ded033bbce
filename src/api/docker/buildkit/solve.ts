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
import { buildSideBySide } from "#api/docker/buildkit/side-by-side.ts";
import type { ClientSession, Sessions } from "#api/docker/buildkit/sessions.ts";
import type { DockerBackend } from "#api/docker/backend.ts";
import { solveDetail } from "#api/docker/buildkit/solve-detail.ts";
import { rangeAt, sourceDetail } from "#api/docker/buildkit/source-detail.ts";
import { StepVertices, inBuildKitsWords } from "#api/docker/buildkit/vertices.ts";
import { type BuildRequest, type BuildResult, BuildStepError } from "#build/build.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import { randomHex } from "#lib/clock.ts";
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
const inWords = (thrown: unknown, read: ReadDockerfile, job: Job): unknown => {
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
  const told = [place, processDetail(thrown, job)];
  const statusDetails = told.filter((detail) => detail !== undefined);
  return new NaruError("internal", message, {
    cause: thrown,
    details: { ...error.details, isUsers: true, statusDetails },
  });
};

/** A debugger may begin there: it names the layers by an id of the job's results. */
const processDetail = ({ process }: BuildStepError, job: Job): Uint8Array | undefined => {
  if (process === undefined) return undefined;
  const id = randomHex(16);
  const detail = solveDetail(process, id);
  if (detail !== undefined) job.trees.set(id, process.parent);
  return detail;
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

type MaybePlatform = Platform | undefined;

/** What shows each platform's steps; a lone one's are the job's own. */
const stepsOf = (
  { log, ref, steps }: Job,
  platforms: readonly MaybePlatform[],
): [MaybePlatform, StepVertices][] =>
  platforms.map((platform) => {
    const isOnly = platforms.length === 1 || platform === undefined;
    if (isOnly) return [platform, steps];
    return [platform, new StepVertices(log, ref, formatPlatform(platform), steps.counts)];
  });

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
    const requests = stepsOf(job, platforms).map(([platform, steps]) =>
      requestFor(platform, steps),
    );
    const drop = (one: BuildResult): void => dropNameless(context, one);
    const [result, ...others] = await buildSideBySide(builds, requests, { drop });
    return { kind: "image", result: { ...result, others } };
  } catch (error) {
    if (error instanceof DockerfileError) {
      await read.vertex.output(2, Buffer.from(`${error.message}\n${error.frame}\n`));
    }
    throw inWords(error, read, job);
  }
};
