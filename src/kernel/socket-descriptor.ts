/**
 * The descriptor of a socket that the runtime reads and writes, for what the runtime has no call for. It must be asked
 * for anew after each `await`: a socket that closed has none, and its number may be another's by then.
 */

/** What says its descriptor itself; undefined once it is closed. */
interface Described {
  readonly descriptor: number | undefined;
}

interface Handle {
  readonly fd?: unknown;
  pause?(): unknown;
}

/** Node's names; no documented way leads to the descriptor of its sockets. */
interface Handled {
  readonly destroyed: boolean;
  readonly _handle?: Handle | null;
  readonly encrypted?: unknown;
}

const isDescribed = (socket: object): socket is Described => "descriptor" in socket;

const isHandled = (socket: object): socket is Handled => "_handle" in socket;

/** Of a socket of `node:net`. */
export const handleOf = (socket: object): Handle | undefined =>
  isHandled(socket) && !socket.destroyed ? (socket._handle ?? undefined) : undefined;

/** What is written to the descriptor would not be what the other side reads. */
export const isEncrypted = (socket: object): boolean =>
  isHandled(socket) && socket.encrypted === true;

/** Undefined for a closed socket, and for a stream that is none. */
export const descriptorOf = (socket: object): number | undefined => {
  const fd = isDescribed(socket) ? socket.descriptor : handleOf(socket)?.fd;
  return typeof fd === "number" && fd >= 0 ? fd : undefined;
};
