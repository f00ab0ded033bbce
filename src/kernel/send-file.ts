/**
 * Bytes of a file into a socket of the runtime, without a copy of them in this process: by sendfile(2), or by send(2)
 * out of a mapping of the file (mmap(2)).
 *
 * The runtime has no such call, so its socket is used beside it: `socketOf` gives the descriptor only while the
 * runtime has nothing of its own left to write, and must be asked anew after each `await` (a socket that closed has
 * no descriptor, and its number may be another's by then).
 */
import { type Pointer, ptr } from "bun:ffi";
import { ERRNO, throwErrno } from "#kernel/errno.ts";
import { lastErrno, libc } from "#kernel/libc.ts";
import { type WidenSendBuffer, widenSendBuffer } from "#kernel/send-buffer.ts";
import { descriptorOf, isEncrypted } from "#kernel/socket-descriptor.ts";

interface Writing {
  /** Bytes that the runtime has still to write. */
  readonly writableLength: number;
}

export interface FileSender {
  /** undefined: bytes have to go through the runtime (TLS, a unix socket's pipe, something still to be written). */
  socketOf(socket: Writing): number | undefined;
  /** Bytes that the socket took; 0 when it is full. Does not wait for the client, but for the disk: see `isCached`. */
  send(socketFd: number, fileFd: number, offset: number, sizeBytes: number): number;
  /**
   * As `send`, but the kernel copies the bytes instead of lending the file's pages to the socket. That costs this side
   * more and the reader less, whose processor then finds them near: what is read on this machine is through sooner.
   */
  sendCopy(socketFd: number, fileFd: number, offset: number, sizeBytes: number): number;
  /** Lets so many bytes be under way in the socket. */
  readonly widen: WidenSendBuffer;
  /** Whether the byte at `offset` is in memory (preadv2, RWF_NOWAIT); false also where the file system does not tell. */
  isCached(fileFd: number, offset: number): boolean;
}

const RWF_NOWAIT = 8;
/** The client is gone: the runtime hears of it by itself, and tells whoever waits. */
const GONE = [ERRNO["EPIPE"], ERRNO["ECONNRESET"], ERRNO["ENOTCONN"]];

/** The map is in whole pages; 64 KiB is the largest page of any architecture. */
const PAGE_BYTES = 65_536;
const PROT_READ = 1;
const MAP_SHARED = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

const position = new BigInt64Array(1);
const oneByte = new Uint8Array(1);
/** struct iovec: where, how much. */
const oneByteVector = new BigUint64Array([BigInt(ptr(oneByte)), 1n]);

export const fileSender: FileSender = {
  socketOf: (socket) =>
    socket.writableLength > 0 || isEncrypted(socket) ? undefined : descriptorOf(socket),
  send: (socketFd, fileFd, offset, sizeBytes) => {
    position[0] = BigInt(offset);
    const sent = Number(libc().sendfile(socketFd, fileFd, position, sizeBytes));
    if (sent >= 0) return sent;
    const errno = lastErrno();
    if (errno === ERRNO["EAGAIN"] || GONE.includes(errno)) return 0;
    return throwErrno("sendfile", errno, `descriptor ${socketFd}`);
  },
  sendCopy: (socketFd, fileFd, offset, sizeBytes) => {
    const skippedBytes = offset % PAGE_BYTES;
    const mappedBytes = skippedBytes + sizeBytes;
    const start = offset - skippedBytes;
    const map = Number(libc().mmap(null, mappedBytes, PROT_READ, MAP_SHARED, fileFd, start));
    // A file system without mappings, or too many of them: what is not sent here is read.
    if (map < 0) return 0;
    const bytes = (map + skippedBytes) as Pointer;
    const sent = Number(libc().send(socketFd, bytes, sizeBytes, MSG_DONTWAIT | MSG_NOSIGNAL));
    const errno = sent < 0 ? lastErrno() : 0;
    libc().munmap(map as Pointer, mappedBytes);
    if (sent >= 0) return sent;
    // EFAULT: the disk or the file's end; who reads it is told which.
    if (errno === ERRNO["EAGAIN"] || errno === ERRNO["EFAULT"] || GONE.includes(errno)) return 0;
    return throwErrno("send", errno, `descriptor ${socketFd}`);
  },
  widen: widenSendBuffer,
  isCached: (fileFd, offset) =>
    Number(libc().preadv2(fileFd, oneByteVector, 1, offset, RWF_NOWAIT)) === 1,
};
