/**
 * The log room's manual. conmon writes each container's output to a file of CRI lines (Kubernetes
 * CRI, "log format"):
 *
 *     2026-11-22T17:31:11.123456789+00:00 stdout F text
 *
 * F ends a line; P is a piece of one (a long line, or a prompt without newline). Full files are
 * renamed `<path>.1`, `<path>.2`, … (higher = older) by `rotate.ts`.
 *
 * Reading never holds more than a few blocks in memory and makes no strings of lines. It stands what
 * real files hold: a rotation under the reader's eyes, half a line after a crash, binary output,
 * lines of any length, garbage. Garbage is shown as output of stdout at the time of the line before.
 *
 * Two forms of the same: `readLog` (lines as objects) for those who look at them, and
 * `readLogChunks` (ready to send, several times faster) for those who pass them on.
 */

/** 1 = stdout (all of a terminal's output), 2 = stderr. */
export type LogStream = 1 | 2;

export interface LogReadOptions {
  /** The file conmon writes to. Missing = nothing was written yet. */
  readonly path: string;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Nanoseconds since the epoch; both ends included. */
  readonly since?: bigint;
  readonly until?: bigint;
  /** The last n lines of the wanted streams; undefined = all. */
  readonly tail?: number;
  /** Goes on with what is written later, until `closed` resolves and everything was read. */
  readonly follow?: boolean;
  /** Resolves when nobody writes any more. Without it following ends by `signal` alone. */
  readonly closed?: Promise<unknown>;
  /** Ends the iteration without an error. */
  readonly signal?: AbortSignal;
}

export interface LogLine {
  readonly stream: LogStream;
  readonly timestampNs: bigint;
  /**
   * With its newline where it had one. Pieces are joined up to 1 MiB; a piece without newline comes
   * alone when a follower has read everything else (a prompt).
   */
  readonly bytes: Uint8Array;
  /** The rest of a line whose beginning came before: no new timestamp is due. */
  readonly isContinuation: boolean;
}

export interface LogChunkOptions {
  /** Docker's frames: 8 bytes (stream, 0, 0, 0, length as big-endian 32 bits) before each piece. */
  readonly isMultiplexed: boolean;
  /** "2026-11-22T17:31:11.123456789Z " before each line. */
  readonly hasTimestamps?: boolean;
  /** Written after the timestamp of each line: attributes of --details, with the space behind. */
  readonly details?: string;
}
