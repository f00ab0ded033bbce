/** What a build reads from its client: the Dockerfile, .dockerignore, contexts. */
import type { DockerfileOptions, ImageContextSource } from "#api/docker/buildkit/attributes.ts";
import { syncFiles } from "#api/docker/buildkit/file-sync.ts";
import type { ClientSession, Sessions } from "#api/docker/buildkit/sessions.ts";
import type { StatusLog } from "#api/docker/buildkit/status-log.ts";
import { isSessionUrl, pullUpload } from "#api/docker/buildkit/upload.ts";
import { ShownVertex } from "#api/docker/buildkit/vertices.ts";
import type { Builds, NamedContext } from "#build/build.ts";
import type { BuildContext } from "#build/context.ts";
import { monotonicMs } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { readFile, realpath } from "node:fs/promises";
import type { Dockerfile, StageInstruction } from "#spec/dockerfile/dockerfile.ts";
import { parseDockerignore } from "#spec/dockerfile/dockerignore.ts";
import { parseMount } from "#spec/dockerfile/mount.ts";
import { digestOf, hexOf } from "#spec/image/digest.ts";

/** Progress of a transfer is told this often. */
const TELL_MS = 100;

export interface InputSources {
  readonly builds: Builds;
  readonly sessions: Sessions;
  /** The build's own; undefined for one without a client's files. */
  readonly session: ClientSession | undefined;
  readonly options: DockerfileOptions;
  readonly log: StatusLog;
  readonly build: string;
  readonly signal: AbortSignal;
  /** A tar that the client sends by itself, in place of a directory. */
  readonly upload: AsyncIterable<Uint8Array> | undefined;
  /** What was received is disposed of with this. */
  readonly held: DisposableStack;
}

interface Transfer {
  readonly directory: string;
  readonly followPaths: readonly string[];
  readonly excludePatterns: readonly string[];
  readonly isKept: boolean;
}

const sessionFor = async (sources: InputSources, directory: string): Promise<ClientSession> => {
  const id = sources.options.sessionIds.get(directory);
  if (id !== undefined) return await sources.sessions.get(id, sources.signal);
  if (sources.session !== undefined) return sources.session;
  throw new NaruError("invalid_argument", `"${directory}" needs a session: the client has none`);
};

const receive = async (
  sources: InputSources,
  vertex: ShownVertex,
  transfer: Transfer,
): Promise<BuildContext> => {
  const { builds, signal, held } = sources;
  const session = await sessionFor(sources, transfer.directory);
  const key = JSON.stringify([transfer.directory, session.sharedKey]);
  const hasKey = transfer.isKept && session.sharedKey !== "";
  const tree = await builds.contextTree(hasKey ? hexOf(digestOf(key)) : undefined);
  const id = `transferring ${transfer.directory}:`;
  let bytes = 0;
  let toldMs = monotonicMs();
  let telling: Promise<void> = vertex.status(id, 0, 0, false);
  const context = await syncFiles(session, tree, {
    directory: transfer.directory,
    followPaths: transfer.followPaths,
    excludePatterns: transfer.excludePatterns,
    onProgress: (count) => {
      bytes = count;
      if (monotonicMs() - toldMs < TELL_MS) return;
      toldMs = monotonicMs();
      telling = telling.then(() => vertex.status(id, bytes, 0, false));
    },
    signal,
  });
  held.use(context);
  await telling;
  await vertex.status(id, bytes, bytes, true);
  return context;
};

const textOf = async (context: BuildContext, path: string): Promise<string | undefined> => {
  let real: string;
  try {
    real = await realpath(`${context.root}/${path}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  // Only what was just received lies there, but a symlink in it may lead elsewhere.
  if (!real.startsWith(`${await realpath(context.root)}/`)) return undefined;
  return await readFile(real, "utf8");
};

export interface ReadDockerfile {
  readonly text: string;
  /** As the client knows it. */
  readonly filename: string;
  /** Patterns of NAME.dockerignore or .dockerignore. */
  readonly ignored: () => Promise<readonly string[]>;
  readonly vertex: ShownVertex;
  /** Of a remote build. */
  readonly context: BuildContext | undefined;
}

const missing = (filename: string): NaruError =>
  new NaruError(
    "not_found",
    `failed to read dockerfile: open ${filename}: no such file or directory`,
  );

const readRemote = async (sources: InputSources, url: string): Promise<ReadDockerfile> => {
  const { builds, signal, options, held } = sources;
  const vertex = new ShownVertex(sources.log, sources.build, `[internal] load remote ${url}`);
  const fetch = async (): Promise<BuildContext> => {
    if (sources.upload !== undefined) return await builds.receiveContext(sources.upload, signal);
    if (!isSessionUrl(url)) return await builds.fetchContext(url, signal);
    const session = await sessionFor(sources, "the context");
    return await builds.receiveContext(pullUpload(session, url, signal), signal);
  };
  const context = await vertex.around(fetch);
  held.use(context);
  const text = builds.readDockerfile(context, options.filename);
  return {
    text,
    filename: options.filename,
    ignored: () => Promise.resolve([]),
    vertex,
    context,
  };
};

/** What the .dockerignore at a directory's top leaves out of it. */
const ignoredIn = async (
  sources: InputSources,
  vertex: ShownVertex,
  directory: string,
): Promise<readonly string[]> => {
  const followPaths = [".dockerignore"];
  const transfer = { directory, followPaths, excludePatterns: [], isKept: false };
  const context = await receive(sources, vertex, transfer);
  return parseDockerignore((await textOf(context, ".dockerignore")) ?? "");
};

const ignoredOf = async (sources: InputSources, own: string | undefined) => {
  const vertex = new ShownVertex(sources.log, sources.build, "[internal] load .dockerignore");
  return await vertex.around(async () => {
    if (own !== undefined) return parseDockerignore(own);
    return await ignoredIn(sources, vertex, sources.options.contextDirectory);
  });
};

/** Throws not_found when the client has no such file. */
export const readDockerfile = async (sources: InputSources): Promise<ReadDockerfile> => {
  const { options } = sources;
  const { filename } = options;
  if (sources.upload !== undefined) return await readRemote(sources, "from standard input");
  if (options.remote !== undefined) return await readRemote(sources, options.remote);
  const name = `[internal] load build definition from ${filename}`;
  const vertex = new ShownVertex(sources.log, sources.build, name);
  return await vertex.around(async () => {
    const names = filename === "Dockerfile" ? [filename, "dockerfile"] : [filename];
    const received = await receive(sources, vertex, {
      directory: options.dockerfileDirectory,
      followPaths: [...names, `${filename}.dockerignore`],
      excludePatterns: [],
      isKept: false,
    });
    for (const path of names) {
      const text = await textOf(received, path);
      if (text === undefined) continue;
      const own = await textOf(received, `${path}.dockerignore`);
      const ignored = (): Promise<readonly string[]> => ignoredOf(sources, own);
      return { text, filename: path, ignored, vertex, context: undefined };
    }
    throw missing(filename);
  });
};

const readsContext = (instruction: StageInstruction): boolean => {
  const { name } = instruction;
  if (name === "ADD") return instruction.sources.length > 0;
  if (name === "COPY") return instruction.from === undefined && instruction.sources.length > 0;
  if (name === "ONBUILD") return true;
  if (name !== "RUN") return false;
  return instruction.mounts.some((word) => {
    const { type, from } = parseMount(word.text);
    return type === "bind" && from === "";
  });
};

/** ONBUILD triggers of bases are not known yet: images that may have them count as readers. */
const needsContext = ({ stages }: Dockerfile): boolean =>
  stages.some(
    (stage) => stage.from.base.text !== "scratch" || stage.instructions.some(readsContext),
  );

/** The client's directory, brought up to date. */
export const readContext = async (
  sources: InputSources,
  read: ReadDockerfile,
  dockerfile: Dockerfile,
): Promise<BuildContext> => {
  if (read.context !== undefined) return read.context;
  if (!needsContext(dockerfile))
    return sources.held.use(await (await sources.builds.contextTree(undefined)).finish());
  const excludePatterns = await read.ignored();
  const vertex = new ShownVertex(sources.log, sources.build, "[internal] load build context");
  const context = await vertex.around(() =>
    receive(sources, vertex, {
      directory: sources.options.contextDirectory,
      followPaths: [],
      excludePatterns,
      isKept: true,
    }),
  );
  const hint = excludePatterns.length > 0 ? " (it may be excluded by .dockerignore)" : "";
  return { ...context, hint, [Symbol.dispose]: () => undefined };
};

export const readNamedContexts = async (
  sources: InputSources,
  imageOf: (source: ImageContextSource) => Promise<NamedContext>,
): Promise<ReadonlyMap<string, NamedContext>> => {
  const contexts = new Map<string, NamedContext>();
  for (const [name, source] of sources.options.contexts) {
    if (source.kind === "image") {
      contexts.set(name, source);
      continue;
    }
    const vertex = new ShownVertex(sources.log, sources.build, `[context ${name}] load`);
    if (source.kind === "input" || source.kind === "layout") {
      contexts.set(name, await vertex.around(() => imageOf(source)));
      continue;
    }
    const context = await vertex.around(async () =>
      source.kind === "remote"
        ? sources.held.use(await sources.builds.fetchContext(source.url, sources.signal))
        : await receive(sources, vertex, {
            directory: source.name,
            followPaths: [],
            excludePatterns: await ignoredIn(sources, vertex, source.name),
            isKept: true,
          }),
    );
    contexts.set(name, { kind: "tree", context });
  }
  return contexts;
};
