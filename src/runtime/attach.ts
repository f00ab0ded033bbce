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
/** Clients hold a frame as a whole. */
const PIECE_MAX_BYTES = 256 * 1024;

/** The first byte says which stream: 2 = stdout, 3 = stderr (conmon's AttachPipe constants). */
const streamOf = (packet: Uint8Array): OutputChunk["stream"] => (packet[0] === STDERR_MARK ? 2 : 1);

/** For the head of a frame: much output is then framed where it lies. */
const ROOM_BYTES = 8;

const joined = (
  stream: OutputChunk["stream"],
  packets: readonly Uint8Array[],
  sizeBytes: number,
): OutputChunk => {
  const [only] = packets;
  if (packets.length === 1 && only !== undefined) return { stream, bytes: only.subarray(1) };
  const memory = Buffer.allocUnsafe(ROOM_BYTES + sizeBytes);
  let at = ROOM_BYTES;
  for (const packet of packets) {
    memory.set(packet.subarray(1), at);
    at += packet.length - 1;
  }
  return { stream, bytes: memory.subarray(ROOM_BYTES), roomBytes: ROOM_BYTES };
};

/** Packets of one stream that came together are one piece: whoever passes it on has one frame, and one write. */
export function* joinPackets(packets: readonly Uint8Array[]): Generator<OutputChunk> {
  let run: Uint8Array[] = [];
  let runBytes = 0;
  let stream: OutputChunk["stream"] = 1;
  for (const packet of packets) {
    if (packet.length <= 1) continue;
    const next = streamOf(packet);
    if (run.length > 0 && (next !== stream || runBytes + packet.length > PIECE_MAX_BYTES)) {
      yield joined(stream, run, runBytes);
      run = [];
      runBytes = 0;
    }
    stream = next;
    run.push(packet);
    runBytes += packet.length - 1;
  }
  if (run.length > 0) yield joined(stream, run, runBytes);
}

async function* chunksOf(stream: SeqpacketStream): AsyncGenerator<OutputChunk> {
  for await (const packets of stream.batches) yield* joinPackets(packets);
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
