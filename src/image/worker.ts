/**
 * The image worker: a child process of the daemon's own binary that does the bulk work. Reads the
 * archive from stdin or a file, writes into its ingest directory only, and answers in JSON lines on
 * stdout. It blocks while it reads: nothing else happens in this process.
 */
import { readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { ArchiveSplitter } from "#image/archive-splitter.ts";
import { BlobFiles } from "#image/blob-file.ts";
import { runHashFollower } from "#image/hash-follower.ts";
import { LayerStage } from "#image/layer-stage.ts";
import { FETCH, FOLLOW } from "#image/worker-protocol.ts";
import type {
  ReceiveResult,
  ReceiveTask,
  SplitResult,
  SplitTask,
  StageTask,
  UnpackResult,
  UnpackLine,
  UnpackTask,
  WorkerResults,
  WorkerTasks,
  WorkerVerb,
} from "#image/worker-protocol.ts";
import { monotonicMs } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { TarParser } from "#lib/tar/parser.ts";
import type { InflateKernel } from "#kernel/inflate.ts";
import type { FileKernel, SocketKernel } from "#kernel/kernel.ts";
import { MAGIC_BYTES, detectCompression } from "#snapshot/compression.ts";
import { decompress } from "#snapshot/decompress.ts";
import { readLayerFile } from "#snapshot/layer-file.ts";
import { sha256Digest } from "#spec/image/digest.ts";

const CHUNK_BYTES = 1024 * 1024;
const PROGRESS_EVERY_MS = 100;
const STDIN = 0;
const STDOUT = 1;

type WorkerKernel = FileKernel & SocketKernel & InflateKernel;

const say = (line: UnpackLine): void => {
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
  for (let at = 0; at < bytes.length;) at += writeSync(STDOUT, bytes, at, bytes.length - at);
};

/** Blocks until there is something; 0 at the end. */
const readStdin = (buffer: Uint8Array): number => readSync(STDIN, buffer, 0, buffer.length, null);

/** Enough to tell the compression by, or all there is. */
const readHead = (): Buffer => {
  const head = Buffer.alloc(MAGIC_BYTES);
  let length = 0;
  while (length < head.length) {
    const count = readStdin(head.subarray(length));
    if (count === 0) break;
    length += count;
  }
  return head.subarray(0, length);
};

/** Fresh buffers: a decompressor may still hold the last one. */
async function* compressedStdin(head: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield head;
  for (;;) {
    const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES / 4);
    const count = readStdin(buffer);
    if (count === 0) return;
    yield buffer.subarray(0, count);
  }
}

/** Hands over the input without its compression. A chunk is valid during the call. */
const readInput = async (
  kernel: WorkerKernel,
  path: string | undefined,
  take: (chunk: Uint8Array) => void,
): Promise<void> => {
  if (path !== undefined) return await readLayerFile({ path }, kernel, take);
  const head = readHead();
  if (detectCompression(head) !== "none") {
    for await (const chunk of decompress(compressedStdin(head))) take(chunk);
    return;
  }
  if (head.length > 0) take(head);
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  for (let count = readStdin(buffer); count > 0; count = readStdin(buffer)) {
    take(buffer.subarray(0, count));
  }
};

const progressReporter = (): SplitterProgress => {
  let lastMs = 0;
  return (path, current, total) => {
    const nowMs = monotonicMs();
    if (nowMs - lastMs < PROGRESS_EVERY_MS && current < total) return;
    lastMs = nowMs;
    say({ kind: "progress", path, current, total });
  };
};
type SplitterProgress = (path: string, current: number, total: number) => void;

const split = async (kernel: WorkerKernel, task: SplitTask): Promise<SplitResult> => {
  const { directory, followerCommand, form } = task;
  using blobs = new BlobFiles({ kernel, followerCommand });
  using splitter = new ArchiveSplitter({
    kernel,
    blobs,
    directory,
    form,
    blobPath: (digest) => join(task.blobs, ...digest.split(":")),
    onProgress: progressReporter(),
  });
  const parser = new TarParser(splitter);
  await readInput(kernel, task.path, (chunk) => parser.push(chunk));
  parser.end();
  const { files, links } = splitter.finish();
  return { files: [...files], links: [...links] };
};

const receive = async (kernel: WorkerKernel, task: ReceiveTask): Promise<ReceiveResult> => {
  const { directory, followerCommand, form } = task;
  const tar = join(directory, "blob");
  using blobs = new BlobFiles({ kernel, followerCommand });
  using blob = blobs.create(tar, undefined);
  using stage = new LayerStage({ kernel, form, directory: join(directory, "layer"), tar });
  await readInput(kernel, task.path, (chunk) => {
    blob.write(chunk);
    stage.push(chunk);
  });
  const written = blob.close();
  const staged = stage.finish();
  return { blob: written(), staged };
};

const stage = async (kernel: WorkerKernel, task: StageTask): Promise<UnpackResult> => {
  using layer = new LayerStage({ ...task, kernel });
  const hasher = new Bun.CryptoHasher("sha256");
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  for (let count = readStdin(buffer); count > 0; count = readStdin(buffer)) {
    const chunk = buffer.subarray(0, count);
    hasher.update(chunk);
    layer.push(chunk);
  }
  return { staged: layer.finish(), diffId: sha256Digest(hasher.digest("hex")) };
};

const unpack = async (kernel: WorkerKernel, task: UnpackTask): Promise<UnpackResult> => {
  const { unpackGrowing } = await import("#image/unpack-growing.ts");
  return unpackGrowing(kernel, task, { read: readStdin, say });
};

type Verbs = {
  readonly [V in WorkerVerb]: (
    kernel: WorkerKernel,
    task: WorkerTasks[V],
  ) => Promise<WorkerResults[V]>;
};
const VERBS: Verbs = { split, receive, stage, unpack };

const isVerb = (verb: string): verb is WorkerVerb => verb in VERBS;

const runVerb = <V extends WorkerVerb>(
  kernel: WorkerKernel,
  verb: V,
  task: string,
): Promise<WorkerResults[V]> => VERBS[verb](kernel, JSON.parse(task) as WorkerTasks[V]);

/**
 * `argv`: the verb and its task as JSON. `command` starts this program again. Resolves to the process's exit
 * code.
 */
export const runImageWorker = async (
  argv: readonly string[],
  kernel: WorkerKernel,
  command: readonly string[],
): Promise<number> => {
  const [verb = "", task = "{}"] = argv;
  if (verb === FETCH) {
    const { runFetchWorker } = await import("#image/fetch-worker.ts");
    return await runFetchWorker({ kernel, command });
  }
  // Modes are set as archives say; nothing else runs in this process.
  process.umask(0);
  try {
    if (verb === FOLLOW) {
      await runHashFollower();
      return 0;
    }
    if (!isVerb(verb)) {
      throw new NaruError("invalid_argument", `the image worker has no verb "${verb}"`);
    }
    say({ kind: "result", result: await runVerb(kernel, verb, task) });
    return 0;
  } catch (thrown) {
    const { code, message } = toNaruError(thrown);
    say({ kind: "error", code, message });
    return 1;
  }
};
