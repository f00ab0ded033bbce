/** What the kinds of listening sockets share. */
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

/** Resolves when `server` listens. Throws failed_precondition naming `what`. */
export const listening = (server: Server, what: string, listen: () => void): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      reject(
        new NaruError("failed_precondition", `cannot listen on "${what}": ${cause.message}`, {
          cause,
        }),
      );
    });
    server.once("listening", () => resolve());
    listen();
  });
