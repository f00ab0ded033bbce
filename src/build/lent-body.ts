/** A child's way to the rest of a request's body: from the connection itself, which is the daemon's again afterwards. */
import { readSync } from "node:fs";
import type { SocketKernel } from "#kernel/kernel.ts";
import { type BodyState, resumeBodyDecoder } from "#spec/http/body-decoder.ts";
import { NaruError } from "#lib/errors.ts";

/** As much as a unix socket can hold, several times over. */
const READ_BYTES = 1024 * 1024;

/** Clients send small chunks; each piece that goes on costs a comparison, a read of the kept file, or a write. */
const GATHER_BYTES = 256 * 1024;

/** 0 at the end. The socket does not block: its mode is the daemon's, which shares it. */
const readSome = (
  kernel: Pick<SocketKernel, "waitReadable">,
  fd: number,
  buffer: Buffer,
): number => {
  for (;;) {
    try {
      return readSync(fd, buffer, 0, buffer.length, null);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ECONNRESET") return 0;
      if (code !== "EAGAIN") throw error;
      kernel.waitReadable(fd);
    }
  }
};

/**
 * The body's bytes; a piece is valid until the next. Blocks the thread. Returns what was read beyond the body's end.
 * Throws canceled when the connection ends before, invalid_argument on framing errors.
 */
export function* lentBody(
  kernel: Pick<SocketKernel, "waitReadable">,
  fd: number,
  state: BodyState,
): Generator<Uint8Array, Uint8Array> {
  const decoder = resumeBodyDecoder(state);
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  const gathered = Buffer.allocUnsafeSlow(GATHER_BYTES);
  let filled = 0;
  while (!decoder.isDone) {
    const count = readSome(kernel, fd, buffer);
    if (count === 0) {
      throw new NaruError("canceled", "the client left before its body was complete");
    }
    const parts: Buffer[] = [];
    const end = decoder.feed(buffer.subarray(0, count), 0, (part) => parts.push(part));
    for (const part of parts) {
      for (let at = 0; at < part.length;) {
        const taken = part.copy(gathered, filled, at);
        filled += taken;
        at += taken;
        if (filled < GATHER_BYTES) continue;
        yield gathered;
        filled = 0;
      }
    }
    if (!decoder.isDone) continue;
    yield gathered.subarray(0, filled);
    return buffer.subarray(end, count);
  }
  return buffer.subarray(0, 0);
}
