/**
 * A connection of the runtime's that another process reads for a while: a child that gets the descriptor as its own.
 * Nothing is copied through this process meanwhile.
 *
 * The runtime has no such call. `pause` of the stream alone lets it go on filling its buffer, `pause` of the handle
 * alone is undone by the stream's next wish to read: both are paused, and what was read by then is handed to the
 * stream's listener first.
 */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";

interface Handle {
  readonly fd?: unknown;
  pause?(): unknown;
}

/** Node's name for the socket below a stream; no documented way leads to it. */
const handleOf = (stream: Duplex): Handle | undefined => {
  if (!(stream instanceof Socket) || stream.destroyed) return undefined;
  const { _handle: handle, encrypted } = stream as {
    readonly _handle?: Handle | null;
    readonly encrypted?: unknown;
  };
  return encrypted === true ? undefined : (handle ?? undefined);
};

/**
 * Stops the runtime from reading and tells what it has read so far by "data" events, before this resolves to the
 * descriptor. `resume` of the stream undoes it. Undefined (and nothing has changed) for what cannot be lent: TLS, a
 * stream that is no socket; also where the connection closed meanwhile.
 */
export const lendSocket = async (stream: Duplex): Promise<number | undefined> => {
  if (typeof handleOf(stream)?.pause !== "function") return undefined;
  stream.pause();
  handleOf(stream)?.pause?.();
  // What this turn of the event loop still reads is in the stream's buffer by the next one.
  await new Promise<void>((resolve) => setImmediate(resolve));
  for (;;) {
    const handle = handleOf(stream);
    if (handle === undefined) return undefined;
    handle.pause?.();
    if (stream.readableLength === 0) return typeof handle.fd === "number" ? handle.fd : undefined;
    stream.read();
  }
};
