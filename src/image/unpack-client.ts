/**
 * The fetch worker's side of `unpack`: a child inflates a growing blob and writes the layer, this process hashes what
 * the child wrote. So what a large layer costs is on two cores: there inflating and writing, here network and sums.
 */
import { closeSync, openSync, readSync, rmSync } from "node:fs";
import { type Growth, checkSum } from "#image/growing-blob.ts";
import type { StagedFiles } from "#image/layer-stage.ts";
import type { UnpackLine, UnpackResult, UnpackTask } from "#image/worker-protocol.ts";
import { NaruError } from "#lib/errors.ts";
import { MAGIC_BYTES, detectCompression } from "#snapshot/compression.ts";
import { GrowingSum } from "#snapshot/growing-sum.ts";
import { type LayerForm, TAR_FILE } from "#snapshot/layer-form.ts";
import type { Digest } from "#spec/image/digest.ts";

export interface UnpackOptions {
  /** Starts the image worker. */
  readonly command: readonly string[];
  readonly file: string;
  readonly sizeBytes: number;
  readonly directory: string;
  readonly form: LayerForm;
  readonly diffId: Digest;
  /** Compressed bytes that were taken. */
  readonly onProgress: (bytes: number) => void;
}

/** What is not worth to be told by itself. */
const BATCH_BYTES = 512 * 1024;

type Child = Bun.Subprocess<"pipe", "pipe", "inherit">;

/** Tells the child how much is there; ends it when that was wrong. */
const feed = async (child: Child, growth: Growth, sizeBytes: number): Promise<void> => {
  for (let told = 0; told < sizeBytes;) {
    await growth.reach(Math.min(sizeBytes, told === 0 ? MAGIC_BYTES : told + BATCH_BYTES));
    if (growth.isWrong) return child.kill("SIGKILL");
    told = growth.available;
    await child.stdin.write(`${told}\n`);
    await child.stdin.flush();
  }
};

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<UnpackLine, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line) as UnpackLine;
  }
}

const follow = async (
  child: Child,
  { directory, form, diffId, onProgress }: UnpackOptions,
  onReady: () => void,
): Promise<StagedFiles> => {
  let tar: GrowingSum | undefined;
  try {
    for await (const line of linesOf(child.stdout)) {
      if (line.kind === "error") throw new NaruError(line.code, line.message);
      if (line.kind === "unpacked") {
        if (line.taken === 0) {
          tar = form === "erofs" ? new GrowingSum(`${directory}/${TAR_FILE}`) : undefined;
          onReady();
        }
        tar?.reach(line.written);
        onProgress(line.taken);
      }
      if (line.kind !== "result") continue;
      const { staged, diffId: found } = line.result as UnpackResult;
      if ("failure" in staged) throw new NaruError(staged.failure.code, staged.failure.message);
      const sum = found ?? tar?.digest();
      if (sum === undefined) break;
      checkSum(sum, diffId);
      return staged;
    }
  } finally {
    tar?.[Symbol.dispose]();
  }
  throw new NaruError("internal", "the unpacking process ended without an answer");
};

/** Whether the child can undo it. */
const isSuited = async (file: string, growth: Growth, sizeBytes: number): Promise<boolean> => {
  await growth.reach(Math.min(sizeBytes, MAGIC_BYTES));
  const head = Buffer.alloc(MAGIC_BYTES);
  const fd = openSync(file, "r");
  try {
    const count = readSync(fd, head, 0, head.length, 0);
    return ["gzip", "none"].includes(detectCompression(head.subarray(0, count)));
  } finally {
    closeSync(fd);
  }
};

/**
 * undefined: the blob is of a form that the child does not know; nothing is in the directory. The child is added to
 * `children`, for whoever ends them.
 */
export const unpackInChild = async (
  options: UnpackOptions,
  growth: Growth,
  children: Bun.Subprocess[],
): Promise<StagedFiles | undefined> => {
  const { command, file, sizeBytes, directory, form } = options;
  const task: UnpackTask = { file, sizeBytes, directory, form };
  const child: Child = Bun.spawn([...command, "unpack", JSON.stringify(task)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  children.push(child);
  const ready = Promise.withResolvers<void>();
  const staged = follow(child, options, ready.resolve);
  const feeding = ready.promise.then(() => feed(child, growth, sizeBytes));
  // A child that is gone says why, or is found to have said nothing, by `follow`.
  feeding.catch(() => undefined);
  staged.catch(() => undefined); // Awaited below, or nobody wants it.
  if (await isSuited(file, growth, sizeBytes)) return await staged;
  child.kill("SIGKILL");
  await child.exited;
  rmSync(directory, { recursive: true, force: true });
  return undefined;
};
