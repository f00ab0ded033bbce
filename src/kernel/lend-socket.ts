/**
 * A connection of the runtime's that another process reads for a while: a child that gets the descriptor as its own.
 * Nothing is copied through this process meanwhile.
 *
 * The runtime has no such call. `pause` of a stream of Node's alone lets it go on filling its buffer, `pause` of its
 * handle alone is undone by the stream's next wish to read: both are paused, and what was read by then is handed to the
 * stream's listener first.
 */
import { descriptorOf, handleOf, isEncrypted } from "#kernel/socket-descriptor.ts";

/** A socket of `node:net` has all of it, one without a buffer of its own the first alone. */
interface Pausable {
  pause(): unknown;
  readonly readableLength?: number;
  read?(): unknown;
}

/**
 * Stops the runtime from reading and tells what it has read so far by "data" events, before this resolves to the
 * descriptor. `resume` of the stream undoes it. Undefined (and nothing has changed) for what cannot be lent: TLS, a
 * stream that is no socket; also where the connection closed meanwhile.
 */
export const lendSocket = async (socket: Pausable): Promise<number | undefined> => {
  if (isEncrypted(socket) || descriptorOf(socket) === undefined) return undefined;
  socket.pause();
  handleOf(socket)?.pause?.();
  // What this turn of the event loop still reads has arrived by the next one.
  await new Promise<void>((resolve) => setImmediate(resolve));
  for (;;) {
    const fd = descriptorOf(socket);
    if (fd === undefined) return undefined;
    handleOf(socket)?.pause?.();
    if ((socket.readableLength ?? 0) === 0) return fd;
    socket.read?.();
  }
};
