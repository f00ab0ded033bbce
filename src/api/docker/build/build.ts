/** POST /build as the classic builder answers it, and POST /build/prune. */
import { BuildStepError, type ContextSource } from "#build/build.ts";
import { cacheMatcher, spaceOf } from "#api/docker/buildkit/cache-filter.ts";
import { type BuildContext } from "#build/context.ts";
import { ClassicLines, type ClassicMessage } from "#api/docker/build/classic-lines.ts";
import { type ClassicRequest, decodeBuild } from "#api/docker/build/request.ts";
import type { Call } from "#api/docker/call.ts";
import { ProgressStream } from "#api/docker/image/progress.ts";
import { post, type Route } from "#api/docker/route.ts";
import { parseTime } from "#api/docker/time.ts";
import { formatInstant } from "#lib/clock.ts";
import { NaruError, hasCode, toNaruError } from "#lib/errors.ts";
import { singleFilter } from "#spec/docker/filters.ts";
import { digestOf, hexOf, shortId } from "#spec/image/digest.ts";

const receive = async (call: Call, request: ClassicRequest): Promise<BuildContext> => {
  const builds = await call.backend.builds();
  if (request.remote !== "") return await builds.fetchContext(request.remote, call.signal);
  // Clients do not say which context this is: what is built from the same Dockerfile to the same names.
  const { tags, target } = request.options;
  const key = hexOf(digestOf(JSON.stringify(["classic", tags, target, request.dockerfilePath])));
  const { exchange } = call;
  const body = exchange.body();
  const source: ContextSource = {
    [Symbol.asyncIterator]: () => body[Symbol.asyncIterator](),
    lend: () => exchange.lendBody(),
  };
  return await builds.receiveContext(source, call.signal, key);
};

const epochOf = ({ options }: ClassicRequest): number | undefined => {
  const text = options.buildArgs.get("SOURCE_DATE_EPOCH");
  if (text === undefined || text === "") return undefined;
  if (/^\d{1,12}$/.test(text)) return Number(text);
  throw new NaruError(
    "invalid_argument",
    `invalid SOURCE_DATE_EPOCH "${text}": seconds since 1970`,
  );
};

/** Keeps the lines of a quiet build until it fails. */
class Output {
  readonly #stream: ProgressStream;
  readonly #isQuiet: boolean;
  readonly #kept: ClassicMessage[] = [];

  constructor(stream: ProgressStream, isQuiet: boolean) {
    this.#stream = stream;
    this.#isQuiet = isQuiet;
  }

  async write(message: ClassicMessage): Promise<void> {
    if (!this.#isQuiet) return await this.#stream.write(message);
    if (message.stream !== undefined) this.#kept.push(message);
    if (this.#kept.length > 10_000) this.#kept.shift();
  }

  async showKept(): Promise<void> {
    for (const message of this.#kept) await this.#stream.write(message);
  }
}

/** `held` gets the context: it goes when the client has its answer. */
const run = async (
  call: Call,
  request: ClassicRequest,
  stream: ProgressStream,
  held: DisposableStack,
): Promise<void> => {
  const context = held.use(await receive(call, request));
  const builds = await call.backend.builds();
  const dockerfile = builds.readDockerfile(context, request.dockerfilePath);
  const output = new Output(stream, request.isQuiet);
  const lines = new ClassicLines({ ...request, write: (message) => output.write(message) });
  try {
    const { imageId, tags } = await builds.build({
      ...request.options,
      context,
      dockerfile,
      namedContexts: new Map(),
      secrets: () => Promise.resolve(undefined),
      sshSockets: new Map(),
      sourceDateEpoch: epochOf(request),
      signal: call.signal,
      onEvent: (event) => lines.take(event),
    });
    await lines.settled();
    if (request.isQuiet) return await stream.write({ stream: `${imageId}\n` });
    await stream.write({ stream: `Successfully built ${shortId(imageId)}\n` });
    for (const tag of tags) await stream.write({ stream: `Successfully tagged ${tag}\n` });
  } catch (error) {
    await lines.failed(error instanceof BuildStepError ? error.step.index : undefined);
    await output.showKept();
    throw error;
  }
};

/** The place in the Dockerfile goes below the message. */
const withFrame = (thrown: unknown): unknown => {
  const error = toNaruError(thrown);
  const frame = error.details["frame"];
  if (typeof frame !== "string") return thrown;
  const { code, message, details } = error;
  return new NaruError(code, `${message}\n\n${frame}\n`, { cause: thrown, details });
};

const build = async (call: Call): Promise<void> => {
  if (call.query.text("version") === "2") {
    const { buildByClassic } = await import("#api/docker/buildkit/classic.ts");
    return await buildByClassic(call);
  }
  const request = decodeBuild(call);
  const stream = new ProgressStream(call);
  using held = new DisposableStack();
  try {
    await run(call, request, stream, held);
    stream.end();
  } catch (error) {
    if (call.signal.aborted && hasCode(error, "canceled")) return;
    const exitCode = error instanceof BuildStepError ? error.exitCode : undefined;
    await stream.fail(withFrame(error), exitCode);
  }
};

const FIELD_FILTERS = ["parent", "type", "description", "private", "shared", "inuse"];
const PRUNE_FILTERS = ["until", "id", "unused-for", "label", "label!", ...FIELD_FILTERS];

const unusedSince = (word: string): string | undefined => {
  const time = parseTime(word, "until");
  return time === undefined ? undefined : formatInstant(time);
};

const prune = async (call: Call): Promise<void> => {
  const { query } = call;
  const filters = query.filters(PRUNE_FILTERS);
  // `system prune` hands its filters on: nothing in the cache has a label, so that `label!` holds for all.
  if (filters.has("label")) return call.json(200, { CachesDeleted: null, SpaceReclaimed: 0 });
  const builds = await call.backend.builds();
  const fields = FIELD_FILTERS.flatMap((name) =>
    (filters.get(name) ?? []).map((value) => `${name}==${value === "" ? "true" : value}`),
  );
  const found =
    fields.length === 0
      ? []
      : (await builds.usage()).filter(cacheMatcher(fields)).map(({ id }) => id);
  const ids = filters.get("id") ?? [];
  const wanted =
    ids.length === 0 ? found : found.filter((id) => ids.some((one) => id.startsWith(one)));
  if (fields.length > 0 && wanted.length === 0) {
    return call.json(200, { CachesDeleted: null, SpaceReclaimed: 0 });
  }
  const { deleted, reclaimedBytes } = await builds.prune({
    isAll: query.flag("all"),
    ...spaceOf({
      reservedBytes: query.integer("keep-storage") ?? query.integer("reserved-space") ?? 0,
      maxUsedBytes: query.integer("max-used-space") ?? 0,
      minFreeBytes: query.integer("min-free-space") ?? 0,
    }),
    unusedSince: unusedSince(
      singleFilter(filters, "until") ?? singleFilter(filters, "unused-for") ?? "",
    ),
    ids: fields.length === 0 ? ids : wanted,
    kinds: [],
  });
  call.json(200, {
    CachesDeleted: deleted.length === 0 ? null : deleted,
    SpaceReclaimed: reclaimedBytes,
  });
};

/** The classic builder's builds have no id to be cancelled by: hanging up is enough. */
const cancel = (call: Call): void => {
  const id = call.query.text("id");
  if (id === "") throw new NaruError("invalid_argument", "build ID not provided");
  call.empty(200);
};

export const buildRoutes: readonly Route[] = [
  post("/build", build),
  post("/build/prune", prune),
  post("/build/cancel", cancel),
];
