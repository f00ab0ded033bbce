import { hijack } from "#client/hijack.ts";
import { defineCommand } from "#cli/framework/command.ts";
import { exitError } from "#cli/framework/errors.ts";
import { bool, list, text, value } from "#cli/framework/flags.ts";
import { collectEnv, parseEnv } from "#cli/run-options/environment.ts";
import { joinStreams, leftByKeys } from "#cli/terminal/attached.ts";
import { parseDetachKeys } from "#cli/terminal/detach-keys.ts";
import { isInputTerminal, terminalSize } from "#cli/terminal/stdin.ts";
import type { ExecCreateRequest } from "#spec/docker/container.ts";

export const command = defineCommand({
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  flags: {
    detach: bool("Detached mode: run command in the background", "d"),
    "detach-keys": text("Override the key sequence for detaching a container"),
    env: value<readonly string[]>(
      "Set environment variables",
      "list",
      [],
      (given, previous) => [...previous, parseEnv(given)],
      { short: "e" },
    ),
    "env-file": list("Read in a file of environment variables", undefined, { completes: "files" }),
    interactive: bool("Keep STDIN open even if not attached", "i"),
    privileged: bool("Give extended privileges to the command"),
    tty: bool("Allocate a pseudo-TTY", "t"),
    user: text("Username or UID (format: <name|uid>[:<group|gid>])", "u"),
    workdir: text("Working directory inside the container", "w"),
  },
  args: { min: 2, max: Number.POSITIVE_INFINITY },
  isInterspersed: false,
  completes: "running",
  run: async ({ context, flags, args }) => {
    const [container = "", ...words] = args;
    const { tty, interactive, detach } = flags;
    if (!detach && tty && interactive && !(await isInputTerminal())) {
      throw exitError(1, "the input device is not a TTY");
    }
    const keys = flags["detach-keys"] ?? (await context.config()).detachKeys ?? "";
    parseDetachKeys(keys);
    const size = tty ? await terminalSize() : undefined;
    const consoleSize: { ConsoleSize?: [number, number] } =
      size === undefined ? {} : { ConsoleSize: [size.rows, size.columns] };
    const env = await collectEnv(flags["env-file"], flags.env, context.env);
    const body: ExecCreateRequest = {
      Cmd: words,
      Tty: tty,
      AttachStdin: interactive && !detach,
      AttachStdout: !detach,
      AttachStderr: !detach,
      ...consoleSize,
      ...(env.length === 0 ? {} : { Env: env }),
      ...(flags.privileged ? { Privileged: true } : {}),
      ...(flags.user === undefined ? {} : { User: flags.user }),
      ...(flags.workdir === undefined ? {} : { WorkingDir: flags.workdir }),
      ...(keys === "" ? {} : { DetachKeys: keys }),
    };
    const client = await context.client();
    const { Id: id } = await client.call("execCreate", { id: container, body });
    if (detach) {
      const response = await client.call("execStart", { id, body: { Detach: true, Tty: tty } });
      await response.text();
      return 0;
    }
    const upgraded = await client.upgrade("execStart", {
      id,
      body: { Detach: false, Tty: tty, ...consoleSize },
    });
    const end = await joinStreams(
      {
        context,
        stream: hijack(upgraded, tty),
        isTty: tty,
        hasInput: interactive,
        detachKeys: keys,
        resize: (h, w) => client.call("execResize", { id, query: { h, w } }),
      },
      async (followSize) => followSize(),
    );
    if (end === "detached") throw leftByKeys();
    return (await client.call("execInspect", { id })).ExitCode ?? 0;
  },
});
