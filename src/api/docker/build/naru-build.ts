/**
 * POST /naru/build: a build with everything the classic endpoint has no words for. The query is that of
 * POST /build; the body is a tar of `context/…`, `named/<name>/…` for further contexts, and `Dockerfile`.
 * The answer is a line of JSON for each event, and one for the result or the error.
 */
import {
  BuildStepError,
  type BuildEvent,
  type BuildRequest,
  type Builds,
  type NamedContext,
} from "#build/build.ts";
import { type BuildContext, partOfContext, readTreeFile } from "#build/context.ts";
import type { OutputWishes } from "#api/docker/build/naru-outputs.ts";
import type { CheckedImages } from "#api/docker/build/dockerfile-checks.ts";
import type { BuildWarning, ChecksWish } from "#api/docker/build/naru-checks.ts";
import type { CacheWish, CacheWork } from "#api/docker/build/naru-caches.ts";
import { decodeBuild } from "#api/docker/build/request.ts";
import type { Call } from "#api/docker/call.ts";
import { get, post, type Route } from "#api/docker/route.ts";
import { pumpStream } from "#api/docker/stream.ts";
import type { AnswerStream } from "#api/http/exchange.ts";
import { isBuiltIn, syntaxOf } from "#spec/dockerfile/syntax.ts";
import { VERSION } from "#lib/version.ts";
import { NaruError, hasCode, toNaruError } from "#lib/errors.ts";

/** A header field: base64url of JSON. */
const EXTRAS = "x-naru-build-extras";
/** A header field: so many bytes of the body, in front of the tar, are the secrets: base64 by id, as JSON. */
const SECRETS_LENGTH = "x-naru-build-secrets-length";
/** Header fields: the body goes on as facts-context.ts has it. */
const CONTEXT_KEY = "x-naru-build-context-key";
const FACTS_LENGTH = "x-naru-build-facts-length";
const SECRETS_MAX_BYTES = 16 * 1024 * 1024;

interface Extras {
  /** By name: "docker-image://…"; trees come in the body. */
  readonly images?: Readonly<Record<string, string>>;
  readonly trees?: readonly string[];
  /** Agent sockets by id. */
  readonly ssh?: Readonly<Record<string, string>>;
  /** Seconds since the epoch. */
  readonly sourceDateEpoch?: number;
  readonly cacheFrom?: readonly CacheWish[];
  readonly cacheTo?: readonly CacheWish[];
  /** Beyond an image of this machine: see naru-outputs.ts. */
  readonly wide?: OutputWishes;
  /** The result tells what a check of the Dockerfile finds, with this text of a .dockerignore. */
  readonly checks?: ChecksWish;
}

/** The first bytes of a body, and the rest of it. Secrets stay in memory. */
const readSecrets = async (
  call: Call,
): Promise<{ secrets: Map<string, Uint8Array>; rest: AsyncIterable<Uint8Array> }> => {
  const length = Number(call.field(SECRETS_LENGTH) ?? "0");
  if (!Number.isSafeInteger(length) || length < 0 || length > SECRETS_MAX_BYTES) {
    throw new NaruError("invalid_argument", `secrets may have ${SECRETS_MAX_BYTES} bytes at most`);
  }
  const iterator = call.exchange.body()[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (size < length) {
    const next = await iterator.next();
    if (next.done === true) throw new NaruError("invalid_argument", "the body ends in the secrets");
    chunks.push(new Uint8Array(next.value));
    size += next.value.length;
  }
  const bytes = Buffer.concat(chunks);
  const object: Record<string, string> =
    length === 0 ? {} : (JSON.parse(bytes.subarray(0, length).toString("utf8")) as never);
  const rest = async function* (): AsyncGenerator<Uint8Array, void> {
    if (bytes.length > length) yield bytes.subarray(length);
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      yield next.value;
    }
  };
  const entries = Object.entries(object).map(([id, text]): [string, Uint8Array] => [
    id,
    Buffer.from(text, "base64"),
  ]);
  return { secrets: new Map(entries), rest: rest() };
};

const headerOf = <T>(call: Call, name: string, fallback: T): T => {
  const text = call.field(name);
  if (text === undefined || text === "") return fallback;
  try {
    return JSON.parse(Buffer.from(text, "base64url").toString("utf8")) as T;
  } catch (cause) {
    throw new NaruError("invalid_argument", `invalid header "${name}"`, { cause });
  }
};

/** Bytes of output as text that JSON can hold whatever they are. */
const encode = (event: BuildEvent): string => {
  if (event.kind !== "output") return `${JSON.stringify(event)}\n`;
  const { bytes, ...rest } = event;
  return `${JSON.stringify({ ...rest, data: Buffer.from(bytes).toString("base64") })}\n`;
};

const encodeError = (thrown: unknown): string => {
  const { message, code, details } = toNaruError(thrown);
  const step = thrown instanceof BuildStepError ? thrown.step : undefined;
  return `${JSON.stringify({ kind: "error", code, message, step, details })}\n`;
};

/** Events one after the other, though several steps tell of them at once. */
class EventLines {
  readonly #out: AnswerStream;
  #tail: Promise<void> = Promise.resolve();

  constructor(out: AnswerStream) {
    this.#out = out;
  }

  write(line: string): Promise<void> {
    const next = this.#tail.then(() => this.#out.writeSoon(line));
    this.#tail = next.catch(() => undefined);
    return next;
  }
}

const receive = async (
  call: Call,
  builds: Builds,
  rest: AsyncIterable<Uint8Array>,
  lines: EventLines,
): Promise<BuildContext> => {
  const key = call.field(CONTEXT_KEY) ?? "";
  if (key === "") return await builds.receiveContext(rest, call.signal);
  const { receiveByFacts } = await import("#api/docker/build/facts-context.ts");
  return await receiveByFacts(builds, {
    key,
    lengthBytes: Number(call.field(FACTS_LENGTH) ?? ""),
    body: rest[Symbol.asyncIterator](),
    ask: (wanted) => lines.write(`${JSON.stringify({ kind: "wanted", wanted })}\n`),
    signal: call.signal,
  });
};

/** Speaks to registries only where a cache is asked for. */
const cacheWork =
  (
    call: Call,
    builds: Builds,
    { credentials }: Pick<BuildRequest, "credentials">,
    lines: EventLines,
  ): (() => Promise<CacheWork>) =>
  async () => ({
    builds,
    bundles: await call.backend.images.bundles(),
    credentials,
    signal: call.signal,
    tell: (text) => lines.write(`${JSON.stringify({ kind: "cache", text })}\n`),
  });

/** What another frontend is to make sense of would be misread. */
const checkSyntax = (dockerfile: string, { buildArgs }: Pick<BuildRequest, "buildArgs">): void => {
  const named = buildArgs.get("BUILDKIT_SYNTAX") ?? syntaxOf(dockerfile);
  const [source = ""] = named.trim().split(/\s/, 1);
  if (source === "" || isBuiltIn(source)) return;
  const remedy = "build it with `docker buildx build`, or leave the syntax line out";
  throw new NaruError(
    "not_implemented",
    `the frontend "${source}" is not run by naru build: ${remedy}`,
  );
};

const warningsOf = async (
  images: CheckedImages,
  request: BuildRequest,
  { checks, wide }: Extras,
): Promise<{ readonly warnings?: readonly BuildWarning[] }> => {
  if (checks === undefined) return {};
  const { checkBuilt } = await import("#api/docker/build/naru-checks.ts");
  return { warnings: checkBuilt(images, request, checks, wide?.platforms[0]) };
};

/** `held` gets the context: it goes when the client has its answer. */
const run = async (call: Call, lines: EventLines, held: DisposableStack): Promise<void> => {
  const { options } = decodeBuild(call);
  const extras = headerOf<Extras>(call, EXTRAS, {});
  const builds = await call.backend.builds();
  const { secrets, rest } = await readSecrets(call);
  const sent = held.use(await receive(call, builds, rest, lines));
  const dockerfile = readTreeFile(builds.kernel, sent.root, "Dockerfile");
  if (dockerfile === undefined || dockerfile.trim() === "") {
    throw new NaruError("invalid_argument", "the Dockerfile is missing or empty");
  }
  checkSyntax(dockerfile, options);
  const namedContexts = new Map<string, NamedContext>();
  for (const [name, reference] of Object.entries(extras.images ?? {})) {
    namedContexts.set(name, { kind: "image", reference });
  }
  for (const name of extras.trees ?? []) {
    namedContexts.set(name, { kind: "tree", context: partOfContext(sent, `named/${name}`) });
  }
  const caches = cacheWork(call, builds, options, lines);
  const { openWishes, exportsOf, exportWishes, withInline } =
    await import("#api/docker/build/naru-caches.ts");
  const exports = exportsOf(extras.cacheTo ?? []);
  const from = extras.cacheFrom ?? [];
  const imports = from.length === 0 ? [] : await openWishes(await caches(), sent, from);
  const request: BuildRequest = {
    ...options,
    imports,
    keepsStepImages: false,
    entitlements: call.query.all("allow"),
    context: partOfContext(sent, "context"),
    dockerfile,
    namedContexts,
    secrets: (id) => Promise.resolve(secrets.get(id)),
    sshSockets: new Map(Object.entries(extras.ssh ?? {})),
    sourceDateEpoch: extras.sourceDateEpoch,
    signal: call.signal,
    onEvent: (event) => lines.write(encode(event)),
  };
  if (extras.wide !== undefined) return await runWide(call, lines, request, extras);
  const built = await builds.build(request);
  const { tags } = built;
  let { imageId } = built;
  if (exports.length > 0) {
    const { images } = call.backend;
    const work = await caches();
    const result = withInline(work, exports, built, (id, name) =>
      images.tag(id, name, { isAlone: true }),
    );
    imageId = result.imageId;
    const plain = imageId === built.imageId ? undefined : images.find(built.imageId);
    if (plain !== undefined && plain.repoTags.length + plain.repoDigests.length === 0) {
      await images.remove(built.imageId, { isForced: false, isParentKept: true });
    }
    await exportWishes(work, exports, result, (position, data) =>
      lines.write(
        `${JSON.stringify({ kind: "cache-data", position, data: Buffer.from(data).toString("base64") })}\n`,
      ),
    );
  }
  const told = await warningsOf(call.backend.images, request, extras);
  await lines.write(`${JSON.stringify({ kind: "result", imageId, tags, ...told })}\n`);
};

/** Other outputs than an image of this machine. */
const runWide = async (
  call: Call,
  lines: EventLines,
  request: BuildRequest,
  extras: Extras,
): Promise<void> => {
  const { backend } = call;
  const { wide, cacheTo = [] } = extras;
  const wishes = { outputs: [], attest: {}, platforms: [], ...wide };
  if (cacheTo.length > 0) {
    const reason = "--cache-to beside several platforms, attestations or pushed outputs";
    throw new NaruError(
      "not_implemented",
      `${reason} is not supported: write the cache on its own`,
    );
  }
  const { buildWide, checkWishes } = await import("#api/docker/build/naru-outputs.ts");
  checkWishes(wishes);
  const { result, told } = await buildWide(backend, wishes, request, (position, data) => {
    const text = Buffer.from(data).toString("base64");
    return lines.write(`${JSON.stringify({ kind: "output-data", position, data: text })}\n`);
  });
  const imageId = told["containerimage.config.digest"] ?? told["containerimage.digest"];
  const answer = { imageId: imageId ?? result.imageId, tags: request.tags, metadata: told };
  const warnings = await warningsOf(backend.images, request, extras);
  await lines.write(`${JSON.stringify({ kind: "result", ...answer, ...warnings })}\n`);
};

const build = async (call: Call): Promise<void> => {
  const out = call.stream("application/x-ndjson");
  const lines = new EventLines(out);
  using held = new DisposableStack();
  try {
    await run(call, lines, held);
  } catch (error) {
    if (call.signal.aborted || hasCode(error, "canceled")) return;
    await lines.write(encodeError(error));
  }
  out.end();
};

/** The whole tree of an image as a tar: what `naru build --output` writes. */
const tree = async (call: Call): Promise<void> => {
  const record = call.backend.images.get(call.name);
  const builds = await call.backend.builds();
  using source = builds.exportTree(record.chainId);
  await pumpStream(call.stream("application/x-tar"), source.tar);
};

/**
 * What this engine's naru/build understands, by names that clients look for: an older engine would take what it does not
 * know for something else, or wait for what never comes.
 */
const FEATURES = ["facts", "outputs", "checks"] as const;

const features = (call: Call): void => call.json(200, { version: VERSION, features: FEATURES });

export const naruBuildRoutes: readonly Route[] = [
  get("/naru/build", features),
  post("/naru/build", build),
  get("/naru/images/{name…}/tree", tree),
];
