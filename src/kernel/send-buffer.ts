/**
 * How much a socket of the runtime takes before its reader has read: socket(7), SO_SNDBUF. A client that sleeps until
 * bytes come is woken once for an answer that fits, and several times, with the writer in turn, for one that does not.
 */
import { libc } from "#kernel/libc.ts";
import { descriptorOf } from "#kernel/socket-descriptor.ts";

/** Sets the room for bytes that are under way. */
export type WidenSendBuffer = (socket: object, sizeBytes: number) => void;

const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
/** Past net.core.wmem_max, for who may administer the network. */
const SO_SNDBUFFORCE = 32;

/**
 * For streams that have no descriptor this does nothing, and what the kernel refuses stays as it was: it is about
 * speed alone. The kernel keeps its books in whole pages, and doubles what is asked for to have room for them.
 */
export const widenSendBuffer: WidenSendBuffer = (socket, sizeBytes) => {
  const fd = descriptorOf(socket);
  if (fd === undefined) return;
  const value = Int32Array.of(sizeBytes);
  const set = (option: number): boolean =>
    libc().setsockopt(fd, SOL_SOCKET, option, value, value.byteLength) === 0;
  if (!set(SO_SNDBUFFORCE)) set(SO_SNDBUF);
};
