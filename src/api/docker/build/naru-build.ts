/**
 * POST /naru/build: a build with everything the classic endpoint has no words for. The query is that of
 * POST /build; the body is a tar of `context/…`, `named/<name>/…` for further contexts, and `Dockerfile`.
 * The answer is a line of JSON for each event, and one for the result or the error.
 */
import { BuildStepError, type BuildEvent, type NamedContext } from "#build/build.ts";
import { partOfContext, readTreeFile } from "#build/context.ts";
import { decodeBuild } from "#api/docker/build/request.ts";
import type { Call } from "#api/docker/call.ts";
import { get, post, type Route } from "#api/docker/route.ts";
import { pumpStream } from "#api/docker/stream.ts";
import type { AnswerStream } from "#api/http/exchange.ts";
import { NaruError, hasCode, toNaruError } from "#lib/errors.ts";

/** Header fields: base64url of JSON. */
const SECRETS = "x-naru-build-secrets";
const EXTRAS = "x-naru-build-extras";

interface Extras {
  /** By name: "docker-image://…"; trees come in the body. */
  readonly images?: Readonly<Record<string, string>>;
  readonly trees?: readonly string[];
  /** Agent sockets by id. */
  readonly ssh?: Readonly<Record<string, string>>;
  /** Seconds since the epoch. */
  readonly sourceDateEpoch?: number;
}

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
    const next = this.#tail.then(() => this.#out.write(line));
    this.#tail = next.catch(() => undefined);
    return next;
  }
}

const run = async (call: Call, lines: EventLines): Promise<void> => {
  const { options } = decodeBuild(call);
  const extras = headerOf<Extras>(call, EXTRAS, {});
  const secrets = headerOf<Record<string, string>>(call, SECRETS, {});
  const builds = await call.backend.builds();
  using sent = await builds.receiveContext(call.exchange.body(), call.signal);
  const dockerfile = readTreeFile(builds.kernel, sent.root, "Dockerfile");
  if (dockerfile === undefined || dockerfile.trim() === "") {
    throw new NaruError("invalid_argument", "the Dockerfile is missing or empty");
  }
  const namedContexts = new Map<string, NamedContext>();
  for (const [name, reference] of Object.entries(extras.images ?? {})) {
    namedContexts.set(name, { kind: "image", reference });
  }
  for (const name of extras.trees ?? []) {
    namedContexts.set(name, { kind: "tree", context: partOfContext(sent, `named/${name}`) });
  }
  const { imageId, tags } = await builds.build({
    ...options,
    keepsStepImages: false,
    context: partOfContext(sent, "context"),
    dockerfile,
    namedContexts,
    secrets: new Map(
      Object.entries(secrets).map(([id, text]) => [id, Buffer.from(text, "base64")]),
    ),
    sshSockets: new Map(Object.entries(extras.ssh ?? {})),
    sourceDateEpoch: extras.sourceDateEpoch,
    signal: call.signal,
    onEvent: (event) => lines.write(encode(event)),
  });
  await lines.write(`${JSON.stringify({ kind: "result", imageId, tags })}\n`);
};

const build = async (call: Call): Promise<void> => {
  const out = call.stream("application/x-ndjson");
  const lines = new EventLines(out);
  try {
    await run(call, lines);
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

export const naruBuildRoutes: readonly Route[] = [
  post("/naru/build", build),
  get("/naru/images/{name…}/tree", tree),
];
