/**
 * A large file through igzip(1) in pieces, several at once: each becomes a gzip member of its own, and RFC 1952 (2.2)
 * lets members follow one another. Where the pieces begin does not depend on the machine, so the same file is the same
 * bytes.
 */
import { closeSync, openSync } from "node:fs";
import { availableParallelism } from "node:os";
import { NaruError } from "#lib/errors.ts";
import { socketKernel } from "#kernel/socket.ts";

const PIECE_BYTES = 16 * 1024 * 1024;
/** As many at once as there are processors, up to here: what is ahead of its turn waits in memory. */
const MAX_LANES = 4;
/** As much as igzip writes at once: it goes on while that is being sent. */
const PIPE_BYTES = 1024 * 1024;

type Child = Bun.Subprocess<number, number, "pipe">;

interface Piece {
  readonly children: readonly Child[];
  /** The member's bytes, to be closed by the reader. */
  readonly outFd: number;
}

const compressing = (program: string, stdin: number, stdout: number): Child =>
  Bun.spawn([program, "-1", "-n", "-c"], { stdin, stdout, stderr: "pipe" });

/** igzip reads to the end of what it is given: dd gives it its part. */
const compressingPart = (
  program: string,
  file: number,
  offset: number,
  stdout: number,
): Child[] => {
  const part = socketKernel.pipe(PIPE_BYTES);
  const range = [`skip=${offset}`, `count=${PIECE_BYTES}`, "iflag=skip_bytes,count_bytes"];
  try {
    const reader: Child = Bun.spawn(["dd", "bs=1M", "status=none", ...range], {
      stdin: file,
      stdout: part.writeFd,
      stderr: "pipe",
    });
    try {
      return [reader, compressing(program, part.readFd, stdout)];
    } catch (error) {
      reader.kill();
      throw error;
    }
  } finally {
    closeSync(part.readFd);
    closeSync(part.writeFd);
  }
};

/** The file is opened here: one that is gone is told as what it is. */
const startPiece = (program: string, path: string, offset: number, isOnly: boolean): Piece => {
  const file = openSync(path, "r");
  const out = socketKernel.pipe(PIPE_BYTES);
  try {
    const children = isOnly
      ? [compressing(program, file, out.writeFd)]
      : compressingPart(program, file, offset, out.writeFd);
    return { children, outFd: out.readFd };
  } catch (error) {
    closeSync(out.readFd);
    throw error;
  } finally {
    closeSync(file);
    closeSync(out.writeFd);
  }
};

const checkEnd = async (child: Child): Promise<void> => {
  const [said, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  if (code !== 0) throw new NaruError("internal", `compressing a layer failed: ${said.trim()}`);
};

/** A piece that is read as it comes, whether it is its turn or not. */
class Lane implements Disposable {
  readonly #piece: Piece;
  readonly #chunks: Uint8Array[] = [];
  readonly #done: Promise<void>;
  #isDone = false;
  #wake = Promise.withResolvers<void>();

  constructor(piece: Piece) {
    this.#piece = piece;
    this.#done = this.#read().finally(() => {
      this.#isDone = true;
      this.#wake.resolve();
    });
    this.#done.catch(() => undefined); // Told in its turn.
  }

  async *bytes(): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        yield chunk;
        continue;
      }
      if (this.#isDone) return await this.#done;
      this.#wake = Promise.withResolvers();
      // oxlint-disable-next-line no-await-in-loop -- one chunk after the other
      await this.#wake.promise;
    }
  }

  async #read(): Promise<void> {
    const { children, outFd } = this.#piece;
    try {
      // The stream leaves the descriptor open.
      for await (const chunk of Bun.file(outFd).stream()) {
        this.#chunks.push(chunk);
        this.#wake.resolve();
      }
      await Promise.all(children.map(checkEnd));
    } finally {
      closeSync(outFd);
    }
  }

  [Symbol.dispose](): void {
    for (const child of this.#piece.children) child.kill();
  }
}

/** `program`: igzip's path. Throws what opening the file throws. */
export async function* gzipPieces(
  program: string,
  path: string,
  sizeBytes: number,
): AsyncGenerator<Uint8Array, void> {
  const count = Math.max(1, Math.ceil(sizeBytes / PIECE_BYTES));
  // One more than work at once: it is ready when a reader as quick as they are asks for it.
  const lanes = Math.min(availableParallelism(), MAX_LANES) + 1;
  using held = new DisposableStack();
  const running: Lane[] = [];
  for (let next = 0, turn = 0; turn < count; turn += 1) {
    for (; next < count && next < turn + lanes; next += 1) {
      const piece = startPiece(program, path, next * PIECE_BYTES, count === 1);
      running.push(held.use(new Lane(piece)));
    }
    const lane = running.shift();
    if (lane !== undefined) yield* lane.bytes();
  }
}
