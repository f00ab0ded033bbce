/**
 * Unpacking a layer while it arrives: what is in the file so far goes through a decompressor into a second
 * child, which unpacks and hashes (`stage` of worker.ts). The network never waits for it: the file is the
 * buffer between them. Runs in the fetch worker.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { LayerStage, type StagedFiles } from "#image/layer-stage.ts";
import type { StageTask, UnpackResult, WorkerLine } from "#image/worker-protocol.ts";
import { NaruError } from "#lib/errors.ts";
import type { FileKernel, SocketKernel } from "#kernel/kernel.ts";
import { MAGIC_BYTES, decompressor, detectCompression } from "#snapshot/compression.ts";
import { decompress } from "#snapshot/decompress.ts";
import type { LayerForm } from "#snapshot/layer-form.ts";
import { type Digest, sha256Digest } from "#spec/image/digest.ts";

const CHUNK_BYTES = 512 * 1024;
const PIPE_BYTES = 1024 * 1024;
/** What is not worth to be passed on by itself. */
const BATCH_BYTES = 512 * 1024;
/** Below this a process that hashes and writes costs more than it brings: other layers use the other cores. */
const SMALL_BYTES = 16 * 1024 * 1024;
/** Below this so does one that decompresses. */
const TINY_BYTES = 256 * 1024;

export interface StreamStageOptions {
  readonly kernel: FileKernel & SocketKernel;
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

/** How much of the growing file may be read. */
class Growth {
  available = 0;
  isWrong = false;
  #wake: (() => void) | undefined;

  set(bytes: number): void {
    // The download began anew: what was unpacked is worth nothing.
    if (bytes < this.available) this.isWrong = true;
    this.available = bytes;
    this.#wake?.();
  }

  /** Until there are so many. */
  async reach(bytes: number): Promise<void> {
    while (this.available < bytes && !this.isWrong) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
  }
}

const checkSum = (found: Digest, diffId: Digest): void => {
  if (found === diffId) return;
  throw new NaruError(
    "data_loss",
    `the layer's content has the sum "${found}", the image says "${diffId}": it is damaged or was changed`,
  );
};

/** Follows one download. `grow` tells of bytes; `finish` gives the unpacked layer, unverified. */
export class StreamStage {
  readonly #options: StreamStageOptions;
  readonly #growth = new Growth();
  readonly #children: Bun.Subprocess[] = [];
  readonly #done: Promise<StagedFiles>;

  constructor(options: StreamStageOptions) {
    this.#options = options;
    this.#done = options.sizeBytes < SMALL_BYTES ? this.#inThisProcess() : this.#inChild();
    this.#done.catch(() => undefined); // Told by `finish`.
  }

  /** So many bytes are in the file. */
  grow(bytes: number): void {
    this.#growth.set(bytes);
  }

  /** Everything is in the file. `undefined`: the download had to begin anew, unpack from the file. */
  async finish(): Promise<StagedFiles | undefined> {
    try {
      return await this.#done;
    } catch (error) {
      if (this.#growth.isWrong) return undefined;
      throw error;
    }
  }

  stop(): void {
    for (const child of this.#children) child.kill("SIGKILL");
  }

  async *#chunks(): AsyncGenerator<Uint8Array, void> {
    const { file, sizeBytes, onProgress } = this.#options;
    const growth = this.#growth;
    await growth.reach(Math.min(sizeBytes, MAGIC_BYTES));
    const fd = openSync(file, "r");
    try {
      for (let position = 0; position < sizeBytes;) {
        await growth.reach(
          Math.min(sizeBytes, position === 0 ? MAGIC_BYTES : position + BATCH_BYTES),
        );
        if (growth.isWrong) throw new NaruError("aborted", "the download began anew");
        const buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, growth.available - position));
        const count = readSync(fd, buffer, 0, buffer.length, position);
        position += count;
        yield buffer.subarray(0, count);
        onProgress(position);
      }
    } finally {
      closeSync(fd);
    }
  }

  async #inThisProcess(): Promise<StagedFiles> {
    const { kernel, directory, form, diffId } = this.#options;
    using stage = new LayerStage({ kernel, directory, form });
    const hasher = new Bun.CryptoHasher("sha256");
    for await (const chunk of this.#plain()) {
      hasher.update(chunk);
      stage.push(chunk);
    }
    const staged = stage.finish();
    checkSum(sha256Digest(hasher.digest("hex")), diffId);
    if ("failure" in staged) throw new NaruError(staged.failure.code, staged.failure.message);
    return staged;
  }

  /** The layer's tar as it comes. */
  async *#plain(): AsyncGenerator<Uint8Array, void> {
    const { sizeBytes } = this.#options;
    if (sizeBytes === 0) return;
    const { head, source } = await begun(this.#chunks());
    const compression = detectCompression(head.subarray(0, MAGIC_BYTES));
    const isTiny = sizeBytes < TINY_BYTES || compression === "none";
    if (isTiny || decompressor(compression) === undefined) {
      yield* decompress(source);
      return;
    }
    const child = this.#startDecompressor(head, "pipe");
    const fed = this.#decompress(head, source, child);
    fed.catch(() => undefined); // Awaited when there is nothing left to read.
    if (child.stdout instanceof ReadableStream) yield* child.stdout;
    await fed;
  }

  async #inChild(): Promise<StagedFiles> {
    const { kernel, diffId } = this.#options;
    // The unpacker gets ready while the first bytes are under way.
    const pipe = kernel.pipe(PIPE_BYTES);
    let isOpen = true;
    const closePipe = (): void => {
      if (isOpen) closeSync(pipe.writeFd);
      isOpen = false;
    };
    try {
      const answer = this.#startUnpacker(pipe.readFd);
      answer.catch(() => undefined); // Awaited below.
      const { head, source } = await begun(this.#chunks());
      const child = this.#startDecompressor(head, pipe.writeFd);
      closePipe();
      try {
        await this.#decompress(head, source, child);
      } catch (error) {
        await answer; // Where the unpacker failed first, that is the reason.
        throw error;
      }
      const { staged, diffId: found } = await answer;
      checkSum(found, diffId);
      if ("failure" in staged) throw new NaruError(staged.failure.code, staged.failure.message);
      return staged;
    } finally {
      closePipe();
    }
  }

  /** Takes `stdin` over. */
  #startUnpacker(stdin: number): Promise<UnpackResult> {
    const { command, directory, form } = this.#options;
    const task: StageTask = { directory, form };
    try {
      const child = Bun.spawn([...command, "stage", JSON.stringify(task)], {
        stdin,
        stdout: "pipe",
        stderr: "inherit",
      });
      this.#children.push(child);
      return answerOf(child.stdout);
    } finally {
      closeSync(stdin);
    }
  }

  /** Without a program for it the runtime decompresses, and the program only passes on. */
  #startDecompressor(head: Uint8Array, stdout: number | "pipe"): Decompressor {
    const compression = detectCompression(head.subarray(0, MAGIC_BYTES));
    const program = compression === "none" ? undefined : decompressor(compression);
    const child = Bun.spawn(program ?? ["cat"], { stdin: "pipe", stdout, stderr: "pipe" });
    this.#children.push(child);
    return child;
  }

  async #decompress(
    head: Uint8Array,
    source: AsyncIterable<Uint8Array>,
    child: Decompressor,
  ): Promise<void> {
    const compression = detectCompression(head.subarray(0, MAGIC_BYTES));
    const hasProgram = compression !== "none" && decompressor(compression) !== undefined;
    await feed(child.stdin, hasProgram ? source : decompress(source), child);
    const [complaint, status] = await Promise.all([child.stderr.text(), child.exited]);
    // Without a reader it ends by a signal: then the unpacker has the reason.
    if (status === 0 || child.signalCode !== null) return;
    throw new NaruError(
      "invalid_argument",
      `the layer's ${compression} data is damaged: ${complaint.trim()}`,
    );
  }
}

type Decompressor = Bun.Subprocess<"pipe", number | "pipe", "pipe">;

/** The first bytes tell the compression; `source` has them too. */
const begun = async (
  chunks: AsyncGenerator<Uint8Array, void>,
): Promise<{ readonly head: Uint8Array; readonly source: AsyncIterable<Uint8Array> }> => {
  const first = await chunks.next();
  const head = first.done === true ? new Uint8Array() : first.value;
  const source = (async function* () {
    yield head;
    yield* chunks;
  })();
  return { head, source };
};

const answerOf = async (stdout: ReadableStream<Uint8Array>): Promise<UnpackResult> => {
  const text = await stdout.text();
  const last = text.trim().split("\n").at(-1) ?? "";
  if (last === "") throw new NaruError("internal", "the unpacking process ended without an answer");
  const line = JSON.parse(last) as WorkerLine;
  if (line.kind === "result") return line.result as UnpackResult;
  if (line.kind === "error") throw new NaruError(line.code, line.message);
  throw new NaruError("internal", "the unpacking process ended without an answer");
};

/** Ends quietly when the child closed its end: then the child says why. */
const feed = async (
  sink: Bun.FileSink | number | undefined,
  source: AsyncIterable<Uint8Array>,
  child: Bun.Subprocess,
): Promise<void> => {
  if (typeof sink !== "object") throw new NaruError("internal", "a child without a stdin");
  try {
    for await (const chunk of source) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      await sink.write(chunk);
      await sink.flush();
    }
  } catch (error) {
    if ((error as { code?: unknown }).code !== "EPIPE") throw error;
  } finally {
    try {
      await sink.end();
    } catch {
      // EPIPE: it is gone already.
    }
  }
};
