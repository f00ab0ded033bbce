/** One piece of a process's output: stream 1 = stdout (all of a TTY), 2 = stderr. */
export interface OutputChunk {
  readonly stream: 1 | 2;
  readonly bytes: Uint8Array;
  /** In the same memory, in front of `bytes`, so many bytes are free for what a protocol puts there. Default: none. */
  readonly roomBytes?: number;
}
