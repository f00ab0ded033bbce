/** A client's end of conmon's attach socket: packets of output, bytes of input. */
import { closeSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { SocketKernel } from "#kernel/kernel.ts";
import { type SeqpacketStream, openSeqpacket } from "#kernel/seqpacket.ts";
import type { OutputChunk } from "#runtime/output.ts";
import type { Stdio } from "#runtime/runtime.ts";

/** conmon reads at most this much from an attached client at once (STDIO_BUF_SIZE). */
const WRITE_MAX_BYTES = 8192;

const STDERR_MARK = 3;

async function* chunksOf(stream: SeqpacketStream): AsyncGenerator<OutputChunk> {
  for await (const packet of stream.messages) {
    // The first byte says which stream: 2 = stdout, 3 = stderr (conmon's AttachPipe constants).
    if (packet.length > 1) {
      yield { stream: packet[0] === STDERR_MARK ? 2 : 1, bytes: packet.subarray(1) };
    }
  }
}

export const attachStdio = (kernel: SocketKernel, socketPath: string): Stdio => {
  let fd: number;
  try {
    fd = kernel.connectSeqpacket(socketPath);
  } catch (cause) {
    throw new NaruError("unavailable", "the process's attach socket is gone: it has ended", {
      cause,
    });
  }
  let stream: SeqpacketStream;
  try {
    stream = openSeqpacket(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return {
    output: chunksOf(stream),
    write: async (bytes) => {
      for (let offset = 0; offset < bytes.length; offset += WRITE_MAX_BYTES) {
        await stream.write(bytes.subarray(offset, offset + WRITE_MAX_BYTES));
      }
    },
    closeStdin: () => stream.shutdownWrite(),
    close: () => stream.close(),
  };
};
