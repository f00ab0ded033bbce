/** Joining a container that exists: `attach` and `start -a`. */
import type { Client } from "#client/client.ts";
import { hijack } from "#client/hijack.ts";
import type { CliContext } from "#cli/context.ts";
import { exitError } from "#cli/framework/errors.ts";
import { watchExit } from "#cli/container/watch-exit.ts";
import { joinStreams, leftByKeys } from "#cli/terminal/attached.ts";
import { parseDetachKeys } from "#cli/terminal/detach-keys.ts";
import { proxySignals } from "#cli/terminal/signals.ts";
import { isInputTerminal } from "#cli/terminal/stdin.ts";
import type { InspectResponse } from "#spec/docker/container.ts";

export interface JoinOptions {
  readonly context: CliContext;
  readonly client: Client;
  readonly container: InspectResponse;
  readonly hasInput: boolean;
  readonly hasSignalProxy: boolean;
  readonly detachKeys: string | undefined;
  /** Starts the container once everything stands; absent when it runs already. */
  readonly start?: () => Promise<void>;
}

/** Resolves to the exit code; detached, to 0 where it was started here, and throws `leftByKeys` otherwise. */
export const joinContainer = async (options: JoinOptions): Promise<number> => {
  const { context, client, container } = options;
  const { Id: id, Config: config } = container;
  const keys = options.detachKeys ?? (await context.config()).detachKeys ?? "";
  parseDetachKeys(keys);
  const hasInput = options.hasInput && config.OpenStdin;
  if (config.Tty && hasInput && !(await isInputTerminal())) {
    throw exitError(1, "the input device is not a TTY");
  }
  await using stack = new AsyncDisposableStack();
  if (options.hasSignalProxy && !config.Tty) {
    stack.defer(
      proxySignals((signal) => {
        // The process may have ended meanwhile; its exit code tells.
        client.call("containerKill", { id, query: { signal } }).catch(() => undefined);
      }, context.output),
    );
  }
  const isRemoved = container.HostConfig.AutoRemove;
  const running = options.start === undefined;
  const condition = isRemoved ? "removed" : running ? "not-running" : "next-exit";
  const [upgraded, exit] = await Promise.all([
    client.upgrade("containerAttach", {
      id,
      query: {
        stream: true,
        stdin: hasInput,
        stdout: true,
        stderr: true,
        ...(keys === "" ? {} : { detachKeys: keys }),
      },
    }),
    watchExit(client, id, condition),
  ]);
  const stream = hijack(upgraded, config.Tty);
  stack.defer(() => stream.close());
  let failure: unknown;
  const end = await joinStreams(
    {
      context,
      stream,
      isTty: config.Tty,
      hasInput,
      detachKeys: keys,
      isJoinedLate: running,
      resize: (h, w) => client.call("containerResize", { id, query: { h, w } }),
    },
    async (followSize) => {
      try {
        await options.start?.();
        followSize();
      } catch (error) {
        failure = error;
        stream.close();
      }
    },
  );
  if (failure !== undefined) throw failure;
  if (end === "ended") return exit.code();
  // Who started it has what was asked for; who only looked has left before its end.
  if (running) throw leftByKeys();
  return 0;
};
