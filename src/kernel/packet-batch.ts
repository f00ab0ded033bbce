/**
 * recvmmsg(2): all packets that wait in a socket, by one system call. The runtime's own socket reads one at a time, with
 * a turn of the event loop for each.
 */
import { ptr } from "bun:ffi";
import { libc } from "#kernel/libc.ts";

export interface PacketBatch {
  /** In order. */
  readonly packets: readonly Uint8Array[];
  /** More may wait. */
  readonly isFull: boolean;
}

/** As many as a sender's buffer has room for, in packets of conmon's size. */
const MAX_PACKETS = 16;
/** No packet is larger than a send buffer. What no packet ever fills costs addresses, not memory. */
const MAX_PACKET_BYTES = 256 * 1024;
/** struct mmsghdr: a struct msghdr of 56 bytes, the length that came, and four bytes of padding. */
const HEADER_WORDS = 8;
const LENGTH_AT = 56;
const IOV_AT = 2;
const IOV_COUNT_AT = 3;
const MSG_DONTWAIT = 0x40;

interface Slab {
  readonly bytes: Uint8Array;
  readonly headers: BigUint64Array;
  readonly lengths: DataView;
  /** Referred to by `headers`: must live as long. */
  readonly vectors: BigUint64Array;
}

let slab: Slab | undefined;

const newSlab = (): Slab => {
  const bytes = new Uint8Array(MAX_PACKETS * MAX_PACKET_BYTES);
  const vectors = new BigUint64Array(MAX_PACKETS * 2);
  const headers = new BigUint64Array(MAX_PACKETS * HEADER_WORDS);
  for (let index = 0; index < MAX_PACKETS; index += 1) {
    vectors[index * 2] = BigInt(ptr(bytes)) + BigInt(index * MAX_PACKET_BYTES);
    vectors[index * 2 + 1] = BigInt(MAX_PACKET_BYTES);
    headers[index * HEADER_WORDS + IOV_AT] = BigInt(ptr(vectors)) + BigInt(index * 16);
    headers[index * HEADER_WORDS + IOV_COUNT_AT] = 1n;
  }
  return { bytes, headers, vectors, lengths: new DataView(headers.buffer) };
};

const NOTHING: PacketBatch = { packets: [], isFull: false };

/**
 * Takes what waits in a connected socket of packets, without waiting. What the socket has to tell otherwise (its end, an
 * error) is left to who reads it after this.
 */
export const takePackets = (fd: number): PacketBatch => {
  slab ??= newSlab();
  const { bytes, headers, lengths } = slab;
  const count = libc().recvmmsg(fd, headers, MAX_PACKETS, MSG_DONTWAIT, null);
  if (count <= 0) return NOTHING;
  const sizes: number[] = [];
  let total = 0;
  for (let index = 0; index < count; index += 1) {
    const size = lengths.getUint32(index * HEADER_WORDS * 8 + LENGTH_AT, true);
    // The end of file, which comes as often as it is asked for.
    if (size === 0) break;
    sizes.push(size);
    total += size;
  }
  const memory = Buffer.allocUnsafe(total);
  let at = 0;
  const packets = sizes.map((size, index) => {
    const from = index * MAX_PACKET_BYTES;
    memory.set(bytes.subarray(from, from + size), at);
    at += size;
    return memory.subarray(at - size, at);
  });
  return { packets, isFull: sizes.length === MAX_PACKETS };
};
