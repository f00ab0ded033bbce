/** One piece of a process's output: stream 1 = stdout (all of a TTY), 2 = stderr. */
export interface OutputChunk {
  readonly stream: 1 | 2;
  readonly bytes: Uint8Array;
}
