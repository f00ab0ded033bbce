import type { Client } from "#client/client.ts";
import { hijack } from "#client/hijack.ts";
import type { Hijacked } from "#client/hijack.ts";
import type { CliContext } from "#cli/context.ts";
import { AT_LEAST_ONE, defineCommand } from "#cli/framework/command.ts";
import { exitError } from "#cli/framework/errors.ts";
import { bool, enabled, text } from "#cli/framework/flags.ts";
import { createContainer, prepareRequest, runFailure } from "#cli/container/create-container.ts";
import { containerFlags } from "#cli/run-options/flags.ts";
import { joinStreams } from "#cli/terminal/attached.ts";
import { parseDetachKeys } from "#cli/terminal/detach-keys.ts";
import { proxySignals } from "#cli/terminal/signals.ts";
import { isInputTerminal, terminalSize } from "#cli/terminal/stdin.ts";
import { watchExit } from "#cli/container/watch-exit.ts";
import type { CreateRequest } from "#spec/docker/container.ts";

const runFlags = {
  ...containerFlags,
  detach: bool("Run container in background and print container ID", "d"),
  "detach-keys": text("Override the key sequence for detaching a container"),
  "sig-proxy": enabled("Proxy received signals to the process"),
};

interface RunOptions {
  readonly context: CliContext;
  readonly client: Client;
  readonly id: string;
  readonly request: CreateRequest;
  readonly isRemoved: boolean;
  readonly hasSignalProxy: boolean;
  readonly detachKeys: string;
}

const attach = async ({ client, id, request, detachKeys }: RunOptions): Promise<Hijacked> => {
  const upgraded = await client.upgrade("containerAttach", {
    id,
    query: {
      stream: true,
      stdin: request.AttachStdin,
      stdout: request.AttachStdout,
      stderr: request.AttachStderr,
      ...(detachKeys === "" ? {} : { detachKeys }),
    },
  });
  return hijack(upgraded, request.Tty === true);
};

/** Attach and wait are under way together, and both stand before the start is sent. */
/** Attaches, starts, and gives the exit code (0 when detached by keys). */
export const runAttached = async (options: RunOptions): Promise<number> => {
  const { context, client, id, request } = options;
  await using stack = new AsyncDisposableStack();
  if (options.hasSignalProxy) {
    stack.defer(
      proxySignals((signal) => {
        // The process may have ended meanwhile; its exit code tells.
        client.call("containerKill", { id, query: { signal } }).catch(() => undefined);
      }, context.output),
    );
  }
  const [stream, exit] = await Promise.all([
    attach(options),
    watchExit(client, id, options.isRemoved ? "removed" : "next-exit"),
  ]);
  stack.defer(() => stream.close());
  let startFailure: unknown;
  const end = await joinStreams(
    {
      context,
      stream,
      isTty: request.Tty === true,
      hasInput: request.AttachStdin === true,
      detachKeys: options.detachKeys,
      resize: (h, w) => client.call("containerResize", { id, query: { h, w } }),
    },
    async (followSize) => {
      try {
        await client.call("containerStart", { id });
      } catch (error) {
        startFailure = error;
        stream.close();
        return;
      }
      followSize();
    },
  );
  if (startFailure !== undefined) {
    if (options.isRemoved) await exit.settled();
    throw startFailure;
  }
  return end === "detached" ? 0 : exit.code();
};

const checkTerminal = async (request: CreateRequest): Promise<void> => {
  if (request.Tty === true && request.AttachStdin === true && !(await isInputTerminal())) {
    throw exitError(1, "the input device is not a TTY");
  }
};

export const command = defineCommand({
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  flags: runFlags,
  args: AT_LEAST_ONE,
  isInterspersed: false,
  completes: "images",
  examples: [
    "naru run -it --rm debian:bookworm",
    "naru run -d --name web -p 8080:80 naru/hello",
    'naru run --rm -v "$PWD:/src" -w /src naru/hello ls',
  ],
  run: async (invocation) => {
    const { context, flags } = invocation;
    let request: CreateRequest;
    try {
      request = await prepareRequest(invocation);
    } catch (error) {
      throw runFailure("run", error);
    }
    if (flags.detach && flags.attach.length > 0) {
      throw exitError(1, "conflicting options: cannot specify both --attach and --detach");
    }
    if (!flags.detach) await checkTerminal(request);
    else
      request = {
        ...request,
        AttachStdin: false,
        AttachStdout: false,
        AttachStderr: false,
        StdinOnce: false,
      };
    const keys = flags["detach-keys"] ?? (await context.config()).detachKeys ?? "";
    parseDetachKeys(keys);
    if (request.Tty === true) {
      const size = await terminalSize();
      if (size !== undefined) {
        request = {
          ...request,
          HostConfig: { ...request.HostConfig, ConsoleSize: [size.rows, size.columns] },
        };
      }
    }
    try {
      const id = await createContainer(invocation, request);
      const client = await context.client();
      if (
        request.AttachStdin !== true &&
        request.AttachStdout !== true &&
        request.AttachStderr !== true
      ) {
        // Said of one that cannot start as well: it is there, to be looked at or removed.
        context.output.line(id);
        await client.call("containerStart", { id });
        return 0;
      }
      return await runAttached({
        context,
        client,
        id,
        request,
        isRemoved: flags.rm,
        hasSignalProxy: flags["sig-proxy"],
        detachKeys: keys,
      });
    } catch (error) {
      throw runFailure("run", error);
    }
  },
});
