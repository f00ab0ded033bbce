/**
 * sendfile(2): bytes of a file into a socket of the runtime, without a copy of them in this process.
 *
 * The runtime has no such call, so its socket is used beside it: `socketOf` gives the descriptor only while the
 * runtime has nothing of its own left to write, and must be asked anew after each `await` (a socket that closed has
 * no descriptor, and its number may be another's by then).
 */
import { type Duplex } from "node:stream";
import { Socket } from "node:net";
import { ptr } from "bun:ffi";
import { ERRNO, throwErrno } from "#kernel/errno.ts";
import { lastErrno, libc } from "#kernel/libc.ts";
import { type WidenSendBuffer, widenSendBuffer } from "#kernel/send-buffer.ts";

export interface FileSender {
  /** undefined: bytes have to go through the runtime (TLS, a unix socket's pipe, something still to be written). */
  socketOf(stream: Duplex): number | undefined;
  /** Bytes that the socket took; 0 when it is full. Does not wait for the client, but for the disk: see `isCached`. */
  send(socketFd: number, fileFd: number, offset: number, sizeBytes: number): number;
  /** Lets so many bytes be under way in the socket. */
  readonly widen: WidenSendBuffer;
  /** Whether the byte at `offset` is in memory (preadv2, RWF_NOWAIT); false also where the file system does not tell. */
  isCached(fileFd: number, offset: number): boolean;
}

const RWF_NOWAIT = 8;
/** The client is gone: the runtime hears of it by itself, and tells whoever waits. */
const GONE = [ERRNO["EPIPE"], ERRNO["ECONNRESET"], ERRNO["ENOTCONN"]];

const position = new BigInt64Array(1);
const oneByte = new Uint8Array(1);
/** struct iovec: where, how much. */
const oneByteVector = new BigUint64Array([BigInt(ptr(oneByte)), 1n]);

interface Handled {
  /** Node's name for the socket below a stream; no documented way leads to its descriptor. */
  readonly _handle?: { readonly fd?: unknown } | null;
  readonly encrypted?: unknown;
}

export const fileSender: FileSender = {
  socketOf: (stream) => {
    if (!(stream instanceof Socket) || stream.destroyed || stream.writableLength > 0) {
      return undefined;
    }
    const { _handle: handle, encrypted } = stream as Handled;
    const fd = encrypted === true ? undefined : handle?.fd;
    return typeof fd === "number" && fd >= 0 ? fd : undefined;
  },
  send: (socketFd, fileFd, offset, sizeBytes) => {
    position[0] = BigInt(offset);
    const sent = Number(libc().sendfile(socketFd, fileFd, position, sizeBytes));
    if (sent >= 0) return sent;
    const errno = lastErrno();
    if (errno === ERRNO["EAGAIN"] || GONE.includes(errno)) return 0;
    return throwErrno("sendfile", errno, `descriptor ${socketFd}`);
  },
  widen: widenSendBuffer,
  isCached: (fileFd, offset) =>
    Number(libc().preadv2(fileFd, oneByteVector, 1, offset, RWF_NOWAIT)) === 1,
};
