/**
 * Unpacking a layer while it arrives. The network never waits for it: the file is the buffer between them. Runs in
 * the fetch worker, which does all of it for small layers, while others use the other cores. For a large one a
 * child inflates and writes (unpack-client.ts). What libisal does not undo, or is not there to undo, goes through a
 * program into a child that unpacks and hashes (`stage` of worker.ts).
 */
import { closeSync, openSync, readSync } from "node:fs";
import { Growth, checkSum } from "#image/growing-blob.ts";
import { LayerStage, type StagedFiles } from "#image/layer-stage.ts";
import { unpackInChild } from "#image/unpack-client.ts";
import type { StageTask, UnpackResult, WorkerLine } from "#image/worker-protocol.ts";
import { NaruError } from "#lib/errors.ts";
import type { InflateKernel, Inflater } from "#kernel/inflate.ts";
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
  readonly kernel: FileKernel & SocketKernel & InflateKernel;
  /** Starts the image worker. */
  readonly command: readonly string[];
  readonly file: string;
  readonly mediaType: string;
  readonly sizeBytes: number;
  readonly directory: string;
  readonly form: LayerForm;
  readonly diffId: Digest;
  /** Compressed bytes that were taken. */
  readonly onProgress: (bytes: number) => void;
}

/** Follows one download. `grow` tells of bytes; `finish` gives the unpacked layer, unverified. */
export class StreamStage {
  readonly #options: StreamStageOptions;
  readonly #growth = new Growth();
  readonly #children: Bun.Subprocess[] = [];
  /** For all chunks, where each is done with before the next is read. */
  #buffer: Buffer | undefined;
  readonly #done: Promise<StagedFiles>;

  constructor(options: StreamStageOptions) {
    this.#options = options;
    this.#done = options.sizeBytes < SMALL_BYTES ? this.#inThisProcess() : this.#inChildren();
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

  /** As `stop`; resolves when nobody writes into the directory any more. */
  async stopped(): Promise<void> {
    this.stop();
    await Promise.all(this.#children.map((child) => child.exited));
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
        const want = Math.min(CHUNK_BYTES, growth.available - position);
        const buffer = this.#buffer ?? Buffer.allocUnsafeSlow(want);
        const count = readSync(fd, buffer, 0, want, position);
        position += count;
        yield buffer.subarray(0, count);
        onProgress(position);
      }
    } finally {
      closeSync(fd);
    }
  }

  async #inThisProcess(): Promise<StagedFiles> {
    const { kernel, directory, form, diffId, sizeBytes } = this.#options;
    using stage = new LayerStage({ kernel, directory, form });
    const hasher = new Bun.CryptoHasher("sha256");
    const take = (plain: Uint8Array): void => {
      hasher.update(plain);
      stage.push(plain);
    };
    if (sizeBytes > 0) await this.#takePlain(take);
    const staged = stage.finish();
    checkSum(sha256Digest(hasher.digest("hex")), diffId);
    if ("failure" in staged) throw new NaruError(staged.failure.code, staged.failure.message);
    return staged;
  }

  /** The layer's tar as it comes; each piece is valid during the call. */
  async #takePlain(take: (plain: Uint8Array) => void): Promise<void> {
    const { kernel, sizeBytes } = this.#options;
    const { head, source } = await begun(this.#chunks());
    const compression = detectCompression(head.subarray(0, MAGIC_BYTES));
    const inflater = compression === "gzip" ? kernel.createInflater() : undefined;
    if (inflater !== undefined) {
      this.#buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
      return await inflate(inflater, source, take);
    }
    const isTiny = sizeBytes < TINY_BYTES || compression === "none";
    if (isTiny || decompressor(compression) === undefined) {
      for await (const plain of decompress(source)) take(plain);
      return;
    }
    const child = this.#startDecompressor(head, "pipe");
    const fed = this.#decompress(head, source, child);
    fed.catch(() => undefined); // Awaited when there is nothing left to read.
    if (child.stdout instanceof ReadableStream) for await (const plain of child.stdout) take(plain);
    await fed;
  }

  async #inChildren(): Promise<StagedFiles> {
    const { kernel, mediaType } = this.#options;
    // Begun before the first bytes tell what they are: mostly that is what the manifest says.
    const isLikely = !mediaType.endsWith("zstd") && kernel.createInflater() !== undefined;
    const staged = isLikely
      ? await unpackInChild(this.#options, this.#growth, this.#children)
      : undefined;
    return staged ?? (await this.#inChild());
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
      if (found !== undefined) checkSum(found, diffId);
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

const inflate = async (
  inflater: Inflater,
  source: AsyncIterable<Uint8Array>,
  take: (plain: Uint8Array) => void,
): Promise<void> => {
  for await (const chunk of source) inflater.push(chunk, take);
  inflater.end();
};

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
