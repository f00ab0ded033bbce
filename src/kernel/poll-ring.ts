/**
 * A descriptor on the runtime's event loop by io_uring(7): the kernel is asked to write a byte into a pipe as soon as
 * the descriptor is readable, and the runtime reads pipes. Unlike a socket of the runtime's this costs nothing while
 * nothing happens: sockets are looked over every second, for their time-outs.
 */
import { type Pointer, ptr, toArrayBuffer } from "bun:ffi";
import { closeSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import { SYSCALL, checked, libc, systemCall } from "#kernel/libc.ts";

/** One wait after the other, until closed. */
export interface Waker {
  /** Resolves when the descriptor is readable, or this is closed. Not to be called again before that. */
  wait(): Promise<void>;
  close(): void;
}

const ENTRIES = 4;
/** IORING_SETUP_COOP_TASKRUN (Linux 5.19): news waits for the thread's next system call and does not disturb it. */
const COOP_TASKRUN = 1 << 8;
/** IORING_FEAT_SINGLE_MMAP, IORING_FEAT_CQE_SKIP (Linux 5.17). */
const FEATURES = (1 << 0) | (1 << 11);
const OFFSET_SQES = 0x10000000;
const SQE_BYTES = 64;
const CQE_BYTES = 16;
const PROT_READ_WRITE = 3;
const MAP_SHARED_POPULATE = 0x8001;
const OP_POLL_ADD = 6;
const OP_WRITE = 23;
/** IOSQE_IO_LINK: the next one waits for this one. IOSQE_CQE_SKIP_SUCCESS: only a failure is told. */
const [LINKED, SILENT] = [1 << 2, 1 << 6];
const POLLIN = 1;
const CLOEXEC_NONBLOCK = 0o2004000;

/** struct io_uring_params, in words of 32 bits. */
const [PARAM_ENTRIES, PARAM_CQ_ENTRIES, PARAM_FLAGS, PARAM_FEATURES, PARAMS_WORDS] = [
  0, 1, 2, 5, 30,
];
const [SQ_TAIL, SQ_MASK, SQ_ARRAY] = [11, 12, 16];
const [CQ_HEAD, CQ_TAIL, CQ_ENTRIES_AT] = [20, 21, 25];

/** Read by the kernel whenever a wait ends. */
const byte = Uint8Array.of(1);

class Ring {
  readonly #fd: number;
  readonly #rings: Mapping;
  readonly #entries: Mapping;
  readonly #words: Uint32Array;
  readonly #requests: DataView;
  readonly #at: { sqTail: number; sqMask: number; sqArray: number; cqHead: number; cqTail: number };

  constructor(fd: number, params: Uint32Array) {
    const param = (index: number): number => params[index] ?? 0;
    this.#fd = fd;
    const sizeBytes = Math.max(
      param(SQ_ARRAY) + param(PARAM_ENTRIES) * 4,
      param(CQ_ENTRIES_AT) + param(PARAM_CQ_ENTRIES) * CQE_BYTES,
    );
    this.#rings = new Mapping(fd, 0, sizeBytes);
    this.#entries = new Mapping(fd, OFFSET_SQES, param(PARAM_ENTRIES) * SQE_BYTES);
    this.#words = new Uint32Array(this.#rings.bytes, 0, sizeBytes >> 2);
    this.#requests = new DataView(this.#entries.bytes);
    this.#at = {
      sqTail: param(SQ_TAIL) >> 2,
      sqMask: param(SQ_MASK) >> 2,
      sqArray: param(SQ_ARRAY) >> 2,
      cqHead: param(CQ_HEAD) >> 2,
      cqTail: param(CQ_TAIL) >> 2,
    };
  }

  #word(index: number): number {
    return this.#words[index] ?? 0;
  }

  #put(tail: number, write: (request: DataView, at: number) => void): void {
    const slot = tail & this.#word(this.#at.sqMask);
    const at = slot * SQE_BYTES;
    new Uint8Array(this.#requests.buffer, at, SQE_BYTES).fill(0);
    write(this.#requests, at);
    this.#words[this.#at.sqArray + slot] = slot;
  }

  /** Once `watchedFd` is readable, a byte is in the pipe. Throws when the kernel does not take that. */
  ask(watchedFd: number, pipeFd: number): void {
    const tail = this.#word(this.#at.sqTail);
    this.#put(tail, (request, at) => {
      request.setUint8(at, OP_POLL_ADD);
      request.setUint8(at + 1, LINKED | SILENT);
      request.setInt32(at + 4, watchedFd, true);
      request.setUint32(at + 28, POLLIN, true);
    });
    this.#put(tail + 1, (request, at) => {
      request.setUint8(at, OP_WRITE);
      request.setUint8(at + 1, SILENT);
      request.setInt32(at + 4, pipeFd, true);
      request.setBigInt64(at + 8, -1n, true); // no position
      request.setBigUint64(at + 16, BigInt(ptr(byte)), true);
      request.setUint32(at + 24, byte.length, true);
    });
    // The thread that enters the kernel is the one that reads this: no barrier is needed.
    this.#words[this.#at.sqTail] = (tail + 2) >>> 0;
    const subject = `descriptor ${watchedFd}`;
    const taken = checked(systemCall(SYSCALL.ioUringEnter, this.#fd, 2), "io_uring_enter", subject);
    if (taken === 2 && this.#word(this.#at.cqHead) === this.#word(this.#at.cqTail)) return;
    throw new NaruError("unavailable", "io_uring does not wait for a descriptor here");
  }

  close(): void {
    this.#rings.close();
    this.#entries.close();
    closeSync(this.#fd);
  }
}

/** Memory that is shared with the kernel, until closed. */
class Mapping {
  readonly #address: Pointer;
  readonly #sizeBytes: number;
  readonly bytes: ArrayBuffer;

  constructor(fd: number, offset: number, sizeBytes: number) {
    const { mmap } = libc();
    this.#sizeBytes = sizeBytes;
    this.#address = checked(
      mmap(null, sizeBytes, PROT_READ_WRITE, MAP_SHARED_POPULATE, fd, offset),
      "mmap",
      "io_uring",
    ) as Pointer;
    this.bytes = toArrayBuffer(this.#address, 0, sizeBytes);
  }

  close(): void {
    libc().munmap(this.#address, this.#sizeBytes);
  }
}

const openRing = (): Ring | undefined => {
  const params = new Uint32Array(PARAMS_WORDS);
  params[PARAM_FLAGS] = COOP_TASKRUN;
  const fd = systemCall(SYSCALL.ioUringSetup, ENTRIES, params);
  // An older kernel, a sandbox without it, or it is switched off (kernel.io_uring_disabled).
  if (fd < 0) return undefined;
  try {
    if (((params[PARAM_FEATURES] ?? 0) & FEATURES) === FEATURES) return new Ring(fd, params);
  } catch {
    // No memory to map: there is another way to wait.
  }
  closeSync(fd);
  return undefined;
};

/** Undefined where the kernel has no io_uring for us. The descriptor stays the caller's and outlives the waker. */
export const openRingWaker = (fd: number): Waker | undefined => {
  const ring = openRing();
  if (ring === undefined) return undefined;
  const ends = new Int32Array(2);
  if (libc().pipe2(ends, CLOEXEC_NONBLOCK) < 0) {
    ring.close();
    return undefined;
  }
  const [readFd = -1, writeFd = -1] = ends;
  const reader = Bun.file(readFd).stream().getReader();
  return {
    wait: async () => {
      ring.ask(fd, writeFd);
      await reader.read();
    },
    close: () => {
      // What is still asked for ends with the ring. The stream leaves its descriptor open.
      ring.close();
      void reader.cancel().finally(() => closeSync(readFd));
      closeSync(writeFd);
    },
  };
};
