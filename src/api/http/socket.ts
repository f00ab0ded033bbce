/**
 * What a connection needs of the socket below it. Sockets and TLS sockets of `node:net` have it, and `daemon/`'s own for
 * the engine's unix socket.
 *
 * - "data" comes as bytes arrive, not while paused, but for what was on its way when `pause` was called.
 * - "end" comes once, at the other side's half-close; the socket must not close by itself then.
 * - "drain" comes after a `write` that returned false, when all is with the kernel.
 * - "close" comes once, last, also after `destroy`, and never within the call that causes it.
 */
export interface Socket {
  on(event: "data", listener: (bytes: Buffer) => void): unknown;
  on(event: "end" | "drain" | "close", listener: () => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  /** False: wait for "drain". What is written to a socket that is gone is dropped. */
  write(data: string | Uint8Array): boolean;
  /** Half-closes after what was written. */
  end(): unknown;
  /** Closes, and drops what was written and is not with the kernel yet. */
  destroy(): unknown;
  pause(): unknown;
  resume(): unknown;
  /**
   * Gives the connection up to the kernel until something comes over it, which costs the engine nothing meanwhile;
   * `onWake` is called just before that is told. False where it cannot be, and nothing has changed.
   */
  park?(onWake: () => void): boolean;
  /** Bytes that are not with the kernel yet. */
  readonly writableLength: number;
  /** With less than so many bytes waiting, `write` returns true though it keeps what it was given. */
  readonly writableHighWaterMark: number;
  /** A "drain" is still to come. */
  readonly writableNeedDrain: boolean;
  /** Our side is closed, and all that was written is with the kernel. */
  readonly writableFinished: boolean;
}
