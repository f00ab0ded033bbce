/**
 * The build worker: a child process of the daemon's own binary for large contexts and copies. One job as
 * a JSON argument; the answer is one JSON line on stdout.
 */
import { readFileSync, readSync, writeSync } from "node:fs";
import { unpackContext, unpackPlain } from "#build/context.ts";
import { lentBody } from "#build/lent-body.ts";
import { packCopyPlan } from "#build/op/copy-pack.ts";
import { CopyTeller } from "#build/op/copy-teller.ts";
import type { CopyPlan } from "#build/op/copy-plan.ts";
import { runCopyPlan } from "#build/op/copy-tree.ts";
import { ProgressTeller, sumByProgress } from "#build/op/tar-progress.ts";
import {
  type BuildJob,
  type BuildJobResults,
  type BuildWorkerAnswer,
  HANDED_FD,
  JOB_FOLLOWS,
  type PackedLayer,
} from "#build/worker-protocol.ts";
import { hasCode, toNaruError } from "#lib/errors.ts";
import type { FileKernel, SocketKernel } from "#kernel/kernel.ts";
import { MAGIC_BYTES, detectCompression } from "#snapshot/compression.ts";
import { diskError } from "#snapshot/disk-error.ts";
import { IndexWriter } from "#snapshot/index-writer.ts";

type WorkerKernel = FileKernel & Pick<SocketKernel, "waitReadable">;

const STDOUT = 1;

const say = (answer: BuildWorkerAnswer): void => {
  const bytes = Buffer.from(`${JSON.stringify(answer)}\n`);
  for (let at = 0; at < bytes.length;) at += writeSync(STDOUT, bytes, at, bytes.length - at);
};

const STDIN = 0;
const READ_BYTES = 1024 * 1024;

/** Blocks while it reads: nothing else happens in this process. A chunk is valid until the next. */
function* stdinChunks(): Generator<Uint8Array, void> {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  for (;;) {
    const count = readSync(STDIN, buffer, 0, buffer.length, null);
    if (count === 0) return;
    yield buffer.subarray(0, count);
  }
}

/** A tar without compression is parsed as it is read, without a promise for each piece. */
const receive = async (
  kernel: WorkerKernel,
  { root, listPath, lent }: Extract<BuildJob, { verb: "receive" }>,
): Promise<BuildJobResults["receive"]> => {
  let sizeBytes = 0;
  let rest: Uint8Array | undefined;
  const all = function* (): Generator<Uint8Array, void> {
    yield* stdinChunks();
    if (lent !== undefined) rest = new Uint8Array(yield* lentBody(kernel, HANDED_FD, lent));
  };
  const counted = function* (): Generator<Uint8Array, void> {
    for (const chunk of all()) {
      sizeBytes += chunk.length;
      yield chunk;
    }
  };
  const restBase64 = (): { restBase64?: string } =>
    rest === undefined ? {} : { restBase64: Buffer.from(rest).toString("base64") };
  const chunks = counted();
  const head: Uint8Array[] = [];
  for (let size = 0; size < MAGIC_BYTES;) {
    const next = chunks.next();
    if (next.done === true) break;
    head.push(new Uint8Array(next.value));
    size += next.value.length;
  }
  const first = Buffer.concat(head);
  if (detectCompression(first.subarray(0, MAGIC_BYTES)) !== "none") {
    const unread = async function* (): AsyncGenerator<Uint8Array, void> {
      yield first;
      // A decompressor may still hold the last one.
      for (const chunk of chunks) yield new Uint8Array(chunk);
    };
    const found = await unpackContext(kernel, root, unread(), listPath);
    return { ...found, digests: [...found.digests], sizeBytes, ...restBase64() };
  }
  const found = unpackPlain(kernel, root, first, chunks, listPath);
  return { ...found, digests: [...found.digests], sizeBytes, ...restBase64() };
};

const pack = (
  kernel: WorkerKernel,
  { planFile, directory, mtimeMaxSeconds }: Extract<BuildJob, { verb: "pack" }>,
): PackedLayer => {
  const plan = JSON.parse(readFileSync(planFile, "utf8")) as CopyPlan;
  using index = new IndexWriter({ directory, maxEntries: Number.POSITIVE_INFINITY });
  const teller = new ProgressTeller(HANDED_FD);
  try {
    const onEntry = index.entry.bind(index);
    for (const chunk of packCopyPlan(kernel, plan, { onEntry, mtimeMaxSeconds })) {
      index.append(chunk);
      if (index.isUnsuited) break;
      teller.wrote(chunk.length);
    }
  } catch (error) {
    if (!hasCode(error, "failed_precondition")) throw error;
    return { unsuited: toNaruError(error).message };
  }
  if (index.isUnsuited) return { unsuited: "no index can show it" };
  teller.end();
  return index.finish() ?? { unsuited: "no index can show it" };
};

const runJob = async (kernel: WorkerKernel, job: BuildJob): Promise<object> => {
  switch (job.verb) {
    case "receive":
      return await receive(kernel, job);
    case "copy":
      await runCopyPlan(
        kernel,
        JSON.parse(readFileSync(job.planFile, "utf8")) as CopyPlan,
        job.tellsOn === undefined ? undefined : new CopyTeller(job.tellsOn),
      );
      return {};
    case "pack":
      return pack(kernel, job);
    case "sum":
      return sumByProgress(job.file, HANDED_FD);
  }
};

/** Resolves to the process's exit status. Never throws. */
export const runBuildWorkerProcess = async (
  argv: readonly string[],
  kernel: WorkerKernel,
): Promise<number> => {
  // Modes are set as sources say; nothing else runs in this process.
  process.umask(0);
  try {
    const text = argv[0] === JOB_FOLLOWS ? readFileSync(STDIN, "utf8") : argv[0];
    if (text === "") return 0; // Whoever started it is gone.
    say({ result: await runJob(kernel, JSON.parse(text ?? "") as BuildJob) });
    return 0;
  } catch (thrown) {
    const { code, message } = toNaruError(diskError(thrown));
    say({ error: { code, message } });
    return 1;
  }
};
