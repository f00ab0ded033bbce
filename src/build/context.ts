/**
 * Build contexts: trees that COPY and ADD read from, and that belong to one build. A context that came as
 * a tar lies in a directory of its own, with the digests of its files.
 */
import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { makeContextRoot } from "#build/context-root.ts";
import { ContextWriter } from "#build/context-writer.ts";
import type { ContextSource, LentSource } from "#build/build.ts";
import type { BuildDependencies } from "#build/dependencies.ts";
import { KEPT_TREE_MAX_BYTES } from "#build/kept-context.ts";
import { discardTree } from "#build/discard-tree.ts";
import type { KeptTree } from "#build/kept-contexts.ts";
import { KeptFiles } from "#build/kept-files.ts";
import { runBuildWorker } from "#build/worker-client.ts";
import type { BuildJob, BuildJobResults } from "#build/worker-protocol.ts";
import { randomHex } from "#lib/clock.ts";
import { NaruError, hasCode } from "#lib/errors.ts";
import { TarParser } from "#lib/tar/parser.ts";
import { failpoint } from "#lib/failpoint.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import { dirname, posix } from "node:path";
import { splitPath } from "#snapshot/directory-cache.ts";
import { IgnoreMatcher, parseDockerignore } from "#spec/dockerfile/dockerignore.ts";
import { decompress } from "#snapshot/decompress.ts";

export interface BuildContext extends Disposable {
  /** Absolute; nobody else writes there. */
  readonly root: string;
  /** sha256 in hex of files by path; what is missing is read when it is needed. */
  readonly digests: ReadonlyMap<string, string>;
  /** "" or the reason for which a missing file may be missing. */
  readonly hint: string;
  /** No file in it has extended attributes that copies keep; absent: they are asked for. */
  readonly hasNoXattrs?: boolean;
}

/** A context up to this size is unpacked here; a child process takes longer to start. */
const SMALL_CONTEXT_BYTES = 1024 * 1024;
const SMALL_CONTEXT_FILES = 100;
const FILE_MAX_BYTES = 8 * 1024 * 1024;
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY;

export const makeContextDirectory = (
  dependencies: Pick<BuildDependencies, "paths">,
): { root: string } & Disposable => {
  const directory = `${dependencies.paths.work}/context-${randomHex(8)}`;
  const root = `${directory}/tree`;
  makeContextRoot(root);
  const dispose = (): void => rmSync(directory, { recursive: true, force: true });
  return { root, [Symbol.dispose]: dispose };
};

/** Reads until the source ends or is known to be large. */
const readHead = async (
  source: AsyncIterator<Uint8Array>,
): Promise<{ chunks: Uint8Array[]; isWhole: boolean }> => {
  const chunks: Uint8Array[] = [];
  for (let size = 0; size <= SMALL_CONTEXT_BYTES;) {
    const next = await source.next();
    if (next.done === true) return { chunks, isWhole: true };
    // The reader may use its buffer again.
    chunks.push(new Uint8Array(next.value));
    size += next.value.length;
  }
  return { chunks, isWhole: false };
};

async function* chained(
  head: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  yield* head;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
    yield next.value;
  }
}

async function* each(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void> {
  yield* chunks;
}

export interface UnpackedContext {
  readonly digests: ReadonlyMap<string, string>;
  readonly hasNoXattrs: boolean;
}

/** Unpacks a tar, compressed or not, and returns the digests of its files. */
export const unpackContext = async (
  kernel: FileKernel,
  root: string,
  source: AsyncIterable<Uint8Array>,
  listPath?: string,
): Promise<UnpackedContext> => {
  const rootFd = openSync(root, DIRECTORY);
  try {
    using kept = listPath === undefined ? undefined : new KeptFiles(kernel, rootFd, listPath);
    using writer = new ContextWriter(kernel, rootFd, kept);
    const parser = new TarParser(writer);
    for await (const chunk of decompress(source)) parser.push(chunk);
    parser.end();
    writer.finish();
    return { digests: writer.digests, hasNoXattrs: writer.hasNoXattrs };
  } finally {
    closeSync(rootFd);
  }
};

/** As `unpackContext`, for a tar without compression that is read by whoever asks. */
export const unpackPlain = (
  kernel: FileKernel,
  root: string,
  head: Uint8Array,
  rest: Iterable<Uint8Array>,
  listPath?: string,
): UnpackedContext => {
  const rootFd = openSync(root, DIRECTORY);
  try {
    using kept = listPath === undefined ? undefined : new KeptFiles(kernel, rootFd, listPath);
    using writer = new ContextWriter(kernel, rootFd, kept);
    const parser = new TarParser(writer);
    parser.push(head);
    for (const chunk of rest) parser.push(chunk);
    parser.end();
    writer.finish();
    return { digests: writer.digests, hasNoXattrs: writer.hasNoXattrs };
  } finally {
    closeSync(rootFd);
  }
};

/** The child reads from the connection itself: nothing of it is copied through this process. */
const receiveLent = async (
  workerCommand: readonly string[],
  job: Extract<BuildJob, { verb: "receive" }>,
  lent: LentSource,
  head: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<BuildJobResults["receive"]> => {
  let rest: Parameters<LentSource["giveBack"]>[0] = "unread";
  try {
    const result = await runBuildWorker(
      workerCommand,
      { ...job, lent: lent.state },
      { stdin: each([...head, ...lent.early]), handed: lent.fd, signal },
    );
    // Without it the child had its tar before the body's end.
    if (result.restBase64 !== undefined) rest = Buffer.from(result.restBase64, "base64");
    return result;
  } catch (error) {
    if (hasCode(error, "canceled")) rest = "cut short";
    throw error;
  } finally {
    lent.giveBack(rest);
  }
};

/**
 * See `Builds.receiveContext`. `keep` gives a tree that stays for the next build of the same context, or undefined
 * where another build has it; small contexts are not worth it.
 */
export const receiveContext = async (
  dependencies: BuildDependencies,
  source: ContextSource,
  keep: () => KeptTree | undefined,
  signal: AbortSignal,
): Promise<BuildContext> => {
  const iterator = source[Symbol.asyncIterator]();
  const { chunks, isWhole } = await readHead(iterator);
  signal.throwIfAborted();
  using undo = new DisposableStack();
  if (isWhole) {
    const { root, [Symbol.dispose]: dispose } = undo.use(makeContextDirectory(dependencies));
    const unpacked = await unpackContext(dependencies.kernel, root, each(chunks));
    failpoint("build.after-context");
    undo.move();
    // Many files take longer to delete than an answer should wait.
    const end = (): void =>
      unpacked.digests.size <= SMALL_CONTEXT_FILES ? dispose() : discardTree(dirname(root));
    return { root, ...unpacked, hint: "", [Symbol.dispose]: end };
  }
  const kept = keep();
  if (kept !== undefined) {
    undo.use(kept);
    // Half a tree is of no use to the next build; on a full disk it is in its way.
    undo.defer(() => kept.forget());
  }
  const { root } = kept ?? undo.use(makeContextDirectory(dependencies));
  const job = {
    verb: "receive",
    root,
    ...(kept === undefined ? {} : { listPath: kept.listPath }),
  } as const;
  const lent = await source.lend?.();
  const { workerCommand } = dependencies;
  const { digests, sizeBytes, hasNoXattrs } =
    lent === undefined
      ? await runBuildWorker(workerCommand, job, { stdin: chained(chunks, iterator), signal })
      : await receiveLent(workerCommand, job, lent, chunks, signal);
  failpoint("build.after-context");
  undo.move();
  const end = (): void => {
    if (kept === undefined) return discardTree(dirname(root));
    if (sizeBytes > KEPT_TREE_MAX_BYTES) kept.forget();
    kept[Symbol.dispose]();
  };
  return { root, digests: new Map(digests), hasNoXattrs, hint: "", [Symbol.dispose]: end };
};

/** A directory of a context as a context of its own; disposing it does nothing. An absent one is empty. */
export const partOfContext = (context: BuildContext, directory: string): BuildContext => {
  const root = `${context.root}/${directory}`;
  if (!/^[A-Za-z0-9_./:@-]+$/.test(directory) || directory.split("/").includes("..")) {
    throw new NaruError("invalid_argument", `invalid name of a context: "${directory}"`);
  }
  const stat = lstatSync(root, { throwIfNoEntry: false });
  if (stat === undefined) mkdirSync(root, { recursive: true, mode: 0o755 });
  else if (!stat.isDirectory()) {
    throw new NaruError("invalid_argument", `context "${directory}" is not a directory`);
  }
  const prefix = `${directory}/`;
  const digests = new Map<string, string>();
  for (const [path, digest] of context.digests) {
    if (path.startsWith(prefix)) digests.set(path.slice(prefix.length), digest);
  }
  const { hint, hasNoXattrs = false } = context;
  return { root, digests, hasNoXattrs, hint, [Symbol.dispose]: () => undefined };
};

/** A small file of a tree, symlinks resolved inside; undefined when it is not there. */
export const readTreeFile = (
  kernel: FileKernel,
  root: string,
  path: string,
): string | undefined => {
  let fd: number;
  try {
    fd = kernel.openInRoot(root, path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (hasCode(error, "not_found")) return undefined;
    throw error;
  }
  try {
    const text = readFileSync(fd);
    if (text.length > FILE_MAX_BYTES) {
      throw new NaruError("resource_exhausted", `"${path}" is larger than ${FILE_MAX_BYTES} bytes`);
    }
    return text.toString("utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EISDIR") {
      throw new NaruError("invalid_argument", `"${path}" is a directory, not a file`, {
        cause: error,
      });
    }
    throw error;
  } finally {
    kernel.close(fd);
  }
};

const removeFile = (kernel: FileKernel, root: string, path: string): void => {
  const [parent, name] = splitPath(path);
  const fd = kernel.openInRoot(root, parent === "" ? "." : parent, DIRECTORY);
  try {
    kernel.unlinkAt(fd, name, false);
  } finally {
    kernel.close(fd);
  }
};

/** Names a Dockerfile goes by when none is given. */
const alternatives = (path: string): readonly string[] =>
  path === "Dockerfile" ? [path, "dockerfile"] : [path];

/** See `Builds.readDockerfile`. */
export const readDockerfile = (
  kernel: FileKernel,
  { root }: Pick<BuildContext, "root">,
  given: string,
): string => {
  const clean = posix.normalize(`/${given}`).slice(1);
  for (const path of alternatives(clean)) {
    const text = readTreeFile(kernel, root, path);
    if (text === undefined) continue;
    if (text.trim() === "") {
      throw new NaruError("invalid_argument", `the Dockerfile (${given}) cannot be empty`);
    }
    const ignore = readTreeFile(kernel, root, ".dockerignore");
    const matcher = ignore === undefined ? undefined : new IgnoreMatcher(parseDockerignore(ignore));
    for (const name of [".dockerignore", path]) {
      if (matcher?.isIgnored(name) === true) removeFile(kernel, root, name);
    }
    return text;
  }
  throw new NaruError("invalid_argument", `Cannot locate specified Dockerfile: ${given}`);
};
