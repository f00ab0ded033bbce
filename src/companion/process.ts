/**
 * The process's own side of a companion (see `companion.ts`): one daemon at a time at a unix socket,
 * its requests answered one after the other, and life after the daemon as long as there is work.
 */
import { writeSync } from "node:fs";
import { type ErrorCode, toNaruError } from "#lib/errors.ts";
import { LineChannel } from "#companion/line-channel.ts";
import type { OpenUnixStream } from "#kernel/unix-stream.ts";
import { type LogFields, type LogLevel, type Logger, createLogger } from "#lib/log.ts";
import { tellStrayFailures } from "#lib/stray-failures.ts";

export interface Hello {
  readonly build: string;
  readonly pid: number;
}

export type FromCompanion =
  | { readonly hello: Hello }
  | {
      readonly log: {
        readonly level: LogLevel;
        readonly message: string;
        readonly fields: LogFields;
      };
    }
  | { readonly id: number; readonly result: unknown }
  | {
      readonly id: number;
      readonly error: {
        readonly code: ErrorCode;
        readonly message: string;
        readonly details: Readonly<Record<string, unknown>>;
      };
    };

type ToCompanion =
  | { readonly id: number; readonly body: unknown }
  | { readonly order: "retire" | "end" };

export interface CompanionWork {
  /** One after the other, in the order they came. */
  handle(body: unknown): Promise<unknown>;
  /** With nothing to do and no daemon the process ends. */
  isIdle(): boolean;
  close(): void;
}

export interface CompanionProcessOptions {
  readonly build: string;
  /** Accepts connections for `onConnection`; what it returns listens already. */
  readonly accept: (onConnection: (open: OpenUnixStream) => void) => { close(): void };
  /** Whether a daemon could still find it: its socket is in its place. */
  readonly canBeFound: () => boolean;
  readonly open: (log: Logger) => CompanionWork;
}

const STDOUT = 1;
/** The daemon that started it comes at once; one that was killed meanwhile never does. */
const LOOK_MS = 10_000;

/** The daemon that started it may have been killed before this: the next one finds the socket. */
const tellReady = (): void => {
  try {
    writeSync(STDOUT, "ready\n");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
  }
};

/** Resolves when the process has nothing left to do. */
export const runCompanion = async (options: CompanionProcessOptions): Promise<void> => {
  const ended = Promise.withResolvers<void>();
  let channel: LineChannel | undefined;
  let queue: Promise<unknown> = Promise.resolve();
  let isRetired = false;
  const log = createLogger((level, message, fields) =>
    channel?.send({ log: { level, message, fields } }),
  );
  tellStrayFailures(log);
  const work = options.open(log);
  const answer = async (own: LineChannel, id: number, body: unknown): Promise<void> => {
    try {
      own.send({ id, result: (await work.handle(body)) ?? null });
    } catch (error) {
      const { code, message, details } = toNaruError(error);
      own.send({ id, error: { code, message, details } });
    }
  };
  const onConnection = (open: OpenUnixStream): void => {
    channel?.close();
    const own = new LineChannel(
      open,
      (value) => {
        const line = value as ToCompanion;
        if ("body" in line) queue = queue.then(() => answer(own, line.id, line.body));
        else if (line.order === "end") ended.resolve();
        else {
          isRetired = true;
          server.close();
        }
      },
      () => {
        // A later daemon may have come meanwhile; what was asked for is done first.
        void queue.then(() => {
          if (channel === own && (isRetired || work.isIdle())) ended.resolve();
        });
      },
    );
    channel = own;
    own.send({ hello: { build: options.build, pid: process.pid } });
  };
  const server = options.accept(onConnection);
  // Signals are for the daemon: a terminal's or a service's stop must not take what it keeps.
  for (const signal of ["SIGINT", "SIGHUP", "SIGPIPE"] as const)
    process.on(signal, () => undefined);
  process.on("SIGTERM", () => ended.resolve());
  tellReady();
  const look = setInterval(() => {
    if (channel?.isOpen !== true && (work.isIdle() || !options.canBeFound())) ended.resolve();
  }, LOOK_MS);
  await ended.promise;
  clearInterval(look);
  work.close();
  server.close();
};
