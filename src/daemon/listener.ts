/** What the kinds of listening sockets share. */
import { readFileSync } from "node:fs";
import type { Server } from "node:net";
import type { Socket } from "#api/http/socket.ts";
import { NaruError } from "#lib/errors.ts";

export interface Listener {
  /** "unix:///run/naru/naru.sock" or "tcp://127.0.0.1:2376", with the port really taken. */
  readonly address: string;
  /** Accepts no more; connections go on. */
  close(): void;
}

export type OnConnection = (socket: Socket) => void;

/**
 * How many connections a listener may have at once: half of the descriptors of this process. Without one left the
 * runtime would try to accept for ever, at the cost of a processor (proc_pid_limits(5)).
 */
export const connectionsAtMost = (descriptorsEach = 1): number => {
  const limits = readFileSync("/proc/self/limits", "utf8");
  const soft = /^Max open files +(\d+)/m.exec(limits)?.[1];
  return Math.floor(Number(soft ?? Infinity) / 2 / descriptorsEach);
};

/**
 * Resolves when `server` listens; connections beyond `connectionsAtMost` are closed as they come. Throws
 * failed_precondition naming `what`, with `details.errno`.
 */
export const listening = (
  server: Server,
  what: string,
  listen: () => void,
  descriptorsEach = 1,
): Promise<void> =>
  new Promise((resolve, reject) => {
    server.maxConnections = connectionsAtMost(descriptorsEach);
    server.once("error", (cause: NodeJS.ErrnoException) => {
      reject(
        new NaruError("failed_precondition", `cannot listen on "${what}": ${cause.message}`, {
          cause,
          details: { errno: cause.code },
        }),
      );
    });
    server.once("listening", () => resolve());
    listen();
  });
