/** Frames of a multiplexed stream: stream number, three zeros, big-endian length, payload. */
const HEADER_BYTES = 8;

/** 1 = stdout, 2 = stderr, 3 = an error of the engine itself. */
export type StreamNumber = 1 | 2 | 3;

/** `roomBytes`: see OutputChunk; where there is enough of it, the frame is made in place. */
export const multiplexFrame = (
  stream: StreamNumber,
  payload: Uint8Array,
  roomBytes = 0,
): Buffer => {
  const isInPlace = roomBytes >= HEADER_BYTES;
  const size = HEADER_BYTES + payload.length;
  const frame = isInPlace
    ? Buffer.from(payload.buffer, payload.byteOffset - HEADER_BYTES, size)
    : Buffer.allocUnsafe(size);
  frame.writeUInt32BE(stream * 0x1000000, 0);
  frame.writeUInt32BE(payload.length, 4);
  if (!isInPlace) frame.set(payload, HEADER_BYTES);
  return frame;
};

export const RAW_STREAM = "application/vnd.docker.raw-stream";
export const MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream";

/** Since 1.42 the content type tells how the stream is framed. */
export const streamContentType = (isTty: boolean, minor: number): string =>
  isTty || minor < 42 ? RAW_STREAM : MULTIPLEXED_STREAM;
