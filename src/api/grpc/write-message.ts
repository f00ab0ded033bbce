/** One gRPC message onto an HTTP/2 stream, at the other side's pace. */
import type { Http2Stream } from "node:http2";

import { frameOf } from "#api/grpc/frame.ts";

/** One write beyond the other side's window may never get its callback in Bun 1.4.5; Go's begins at 64 KiB. */
const PIECE_BYTES = 32 * 1024;

type Gone = () => Error | undefined;

const writePiece = (stream: Http2Stream, piece: Uint8Array, gone: Gone): Promise<void> =>
  new Promise((resolve, reject) => {
    const fail = (): void => {
      const error = gone();
      if (error === undefined) resolve();
      else reject(error);
    };
    if (stream.destroyed || stream.closed) return fail();
    stream.once("close", fail);
    stream.write(piece, (error) => {
      stream.removeListener("close", fail);
      if (error) fail();
      else resolve();
    });
  });

/**
 * Sends messages of one stream one after the other, whoever else sends meanwhile. A send resolves when the other
 * side's window had room for all of it. Once the stream is closed it throws what `gone` gives, or gives up quietly.
 */
export const messageWriter = (
  stream: Http2Stream,
  gone: Gone,
): ((message: Uint8Array) => Promise<void>) => {
  let tail: Promise<void> = Promise.resolve();
  const write = async (before: Promise<void>, frame: Uint8Array): Promise<void> => {
    await before.catch(() => undefined); // Told to its own sender.
    for (let at = 0; at < frame.length; at += PIECE_BYTES) {
      await writePiece(stream, frame.subarray(at, at + PIECE_BYTES), gone);
    }
  };
  return (message) => {
    tail = write(tail, frameOf(message));
    return tail;
  };
};
