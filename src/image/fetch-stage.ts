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
import { type Digest, sha256Digest } from "#spec/image/digest.ts";

const CHUNK_BYTES = 512 * 1024;
/** Below this a second process costs more than it brings. */
const SMALL_BYTES = 1024 * 1024;

export interface StreamStageOptions {
  readonly kernel: FileKernel & SocketKernel;
  /** Starts the image worker. */
  readonly command: readonly string[];
  readonly file: string;
  readonly sizeBytes: number;
  readonly directory: string;
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

  async beyond(position: number): Promise<void> {
    while (this.available <= position && !this.isWrong) {
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
    await growth.beyond(0);
    const fd = openSync(file, "r");
    try {
      for (let position = 0; position < sizeBytes;) {
        await growth.beyond(position);
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
    const { kernel, directory, diffId, sizeBytes } = this.#options;
    using stage = new LayerStage(directory, kernel);
    const hasher = new Bun.CryptoHasher("sha256");
    if (sizeBytes > 0) {
      for await (const chunk of decompress(this.#chunks())) {
        hasher.update(chunk);
        stage.push(chunk);
      }
    }
    const staged = stage.finish();
    checkSum(sha256Digest(hasher.digest("hex")), diffId);
    if ("failure" in staged) throw new NaruError(staged.failure.code, staged.failure.message);
    return staged;
  }

  async #inChild(): Promise<StagedFiles> {
    const { diffId } = this.#options;
    const chunks = this.#chunks();
    const first = await chunks.next();
    const head = first.done === true ? new Uint8Array() : first.value;
    const all = (async function* () {
      yield head;
      yield* chunks;
    })();
    const compression = detectCompression(head.subarray(0, MAGIC_BYTES));
    const program = compression === "none" ? undefined : decompressor(compression);
    const answer =
      program === undefined ? this.#plain(all) : this.#program(program, all, compression);
    const { staged, diffId: found } = await answer;
    checkSum(found, diffId);
    if ("failure" in staged) throw new NaruError(staged.failure.code, staged.failure.message);
    return staged;
  }

  #startUnpacker(stdin: "pipe" | number): Bun.Subprocess<"pipe" | number, "pipe", "inherit"> {
    const { command, directory } = this.#options;
    const task: StageTask = { directory };
    const child = Bun.spawn([...command, "stage", JSON.stringify(task)], {
      stdin,
      stdout: "pipe",
      stderr: "inherit",
    });
    this.#children.push(child);
    return child;
  }

  async #plain(source: AsyncIterable<Uint8Array>): Promise<UnpackResult> {
    const child = this.#startUnpacker("pipe");
    const answer = answerOf(child.stdout);
    await feed(child.stdin, decompress(source), child);
    return await answer;
  }

  async #program(
    program: string[],
    source: AsyncIterable<Uint8Array>,
    compression: string,
  ): Promise<UnpackResult> {
    const { kernel } = this.#options;
    const pipe = kernel.pipe();
    let child: Bun.Subprocess<"pipe", number, "pipe">;
    let unpacker: Bun.Subprocess<"pipe" | number, "pipe", "inherit">;
    try {
      child = Bun.spawn(program, { stdin: "pipe", stdout: pipe.writeFd, stderr: "pipe" });
      this.#children.push(child);
      unpacker = this.#startUnpacker(pipe.readFd);
    } finally {
      closeSync(pipe.readFd);
      closeSync(pipe.writeFd);
    }
    const answer = answerOf(unpacker.stdout);
    answer.catch(() => child.kill("SIGKILL"));
    await feed(child.stdin, source, child);
    const [complaint, status] = await Promise.all([child.stderr.text(), child.exited]);
    if (status !== 0 && !child.killed) {
      throw new NaruError(
        "invalid_argument",
        `the layer's ${compression} data is damaged: ${complaint.trim()}`,
      );
    }
    return await answer;
  }
}

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
      if (child.exitCode !== null || child.killed) return;
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
