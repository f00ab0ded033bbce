/**
 * The uncompressed bytes of a layer in a file (or a part of one), read without any promise: the file
 * itself, or the pipe of a decompressing child. Blocks the thread, so only for child processes.
 */
import { closeSync, constants, fstatSync, readSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { FileKernel, SocketKernel } from "#kernel/kernel.ts";
import {
  type Compression,
  MAGIC_BYTES,
  decompressor,
  detectCompression,
  missingProgram,
} from "#snapshot/compression.ts";
import { decompress } from "#snapshot/decompress.ts";

export interface FilePart {
  readonly path: string;
  readonly offset?: number;
  readonly length?: number;
}

const CHUNK_BYTES = 1024 * 1024;

/** Chunks share one buffer: each is valid until the next is asked for. */
function* readChunks(
  fd: number,
  start: number | null,
  length: number,
): Generator<Uint8Array, void> {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  for (let done = 0; done < length;) {
    const want = Math.min(CHUNK_BYTES, length - done);
    const count = readSync(fd, buffer, 0, want, start === null ? null : start + done);
    if (count === 0) return;
    done += count;
    yield buffer.subarray(0, count);
  }
}

interface Part {
  readonly fd: number;
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  readonly isWhole: boolean;
}

const openPart = (kernel: FileKernel, { path, offset = 0, length }: FilePart): Part => {
  const fd = kernel.openInRoot("/", path, constants.O_RDONLY);
  const { size } = fstatSync(fd);
  const end = length === undefined ? size : offset + length;
  if (offset < 0 || end < offset || end > size) {
    closeSync(fd);
    throw new NaruError(
      "out_of_range",
      `bytes ${offset}..${end} are not all in "${path}", which has ${size}`,
    );
  }
  return { fd, path, offset, length: end - offset, isWhole: offset === 0 && end === size };
};

/** dd hands a part of the file to the child: nobody else can without waiting for both its ends. */
const startChild = (
  part: Part,
  command: string[],
  stdout: number,
  kernel: SocketKernel,
): Bun.Subprocess => {
  if (part.isWhole) return Bun.spawn(command, { stdin: part.fd, stdout, stderr: "pipe" });
  const pipe = kernel.pipe();
  try {
    const range = [`skip=${part.offset}`, `count=${part.length}`, "iflag=skip_bytes,count_bytes"];
    Bun.spawn(["dd", `if=${part.path}`, "bs=1M", "status=none", ...range], {
      stdin: "ignore",
      stdout: pipe.writeFd,
      stderr: "ignore",
    });
    return Bun.spawn(command, { stdin: pipe.readFd, stdout, stderr: "pipe" });
  } finally {
    closeSync(pipe.readFd);
    closeSync(pipe.writeFd);
  }
};

const throughChild = async (
  part: Part,
  compression: Compression,
  command: string[],
  kernel: SocketKernel,
  take: (chunk: Uint8Array) => void,
): Promise<void> => {
  const pipe = kernel.pipe();
  let child: Bun.Subprocess;
  try {
    child = startChild(part, command, pipe.writeFd, kernel);
  } catch (error) {
    closeSync(pipe.readFd);
    throw error;
  } finally {
    closeSync(pipe.writeFd);
  }
  try {
    for (const chunk of readChunks(pipe.readFd, null, Number.MAX_SAFE_INTEGER)) take(chunk);
  } finally {
    closeSync(pipe.readFd);
  }
  if ((await child.exited) !== 0) {
    const complaint = child.stderr instanceof ReadableStream ? await child.stderr.text() : "";
    throw new NaruError(
      "invalid_argument",
      `the ${compression} data in "${part.path}" is damaged: ${complaint.trim()}`,
    );
  }
};

/** Calls `take` with every chunk, in order; a chunk is valid during the call. */
export const readLayerFile = async (
  file: FilePart,
  kernel: FileKernel & SocketKernel,
  take: (chunk: Uint8Array) => void,
): Promise<void> => {
  const part = openPart(kernel, file);
  try {
    const head = Buffer.alloc(Math.min(MAGIC_BYTES, part.length));
    readSync(part.fd, head, 0, head.length, part.offset);
    const compression = detectCompression(head);
    if (compression === "none") {
      for (const chunk of readChunks(part.fd, part.offset, part.length)) take(chunk);
      return;
    }
    const command = decompressor(compression);
    if (command !== undefined) return await throughChild(part, compression, command, kernel, take);
    if (compression === "xz" || compression === "bzip2") throw missingProgram(compression);
    const bytes = Bun.file(part.path)
      .slice(part.offset, part.offset + part.length)
      .stream();
    for await (const chunk of decompress(bytes)) take(chunk);
  } finally {
    closeSync(part.fd);
  }
};
