/** `post_start` and `pre_stop`: commands run inside a container. */
import type { Stack } from "#compose/stack.ts";
import type { Hook } from "#spec/compose/compose.ts";
import { NaruError } from "#lib/errors.ts";
import { hijack } from "#client/hijack.ts";

const MAX_OUTPUT_BYTES = 64 * 1024;

const runHook = async (stack: Stack, id: string, hook: Hook): Promise<void> => {
  const { client } = stack.options;
  const env = Object.entries(hook.environment ?? {}).map(([key, value]) =>
    value === null ? key : `${key}=${value}`,
  );
  const words = [...(hook.command ?? [])];
  const { Id: exec } = await client.call("execCreate", {
    id,
    body: {
      Cmd: words,
      AttachStdout: true,
      AttachStderr: true,
      ...(env.length === 0 ? {} : { Env: env }),
      ...(hook.user === undefined ? {} : { User: hook.user }),
      ...(hook.privileged === true ? { Privileged: true } : {}),
      ...(hook.working_dir === undefined ? {} : { WorkingDir: hook.working_dir }),
    },
  });
  const upgraded = await client.upgrade("execStart", {
    id: exec,
    body: { Detach: false, Tty: false },
  });
  const stream = hijack(upgraded, false);
  let said = "";
  try {
    for await (const piece of stream.output()) {
      if (said.length < MAX_OUTPUT_BYTES) said += Buffer.from(piece.bytes).toString("utf8");
    }
  } finally {
    stream.close();
  }
  const { ExitCode: code } = await client.call("execInspect", { id: exec });
  if (code === 0) return;
  const words0 = words.join(" ");
  throw new NaruError(
    "failed_precondition",
    `the hook "${words0}" ended with ${String(code)}${said === "" ? "" : `: ${said.trim()}`}`,
  );
};

/** One after the other; the first failure is the end. */
export const runHooks = async (
  stack: Stack,
  containerId: string,
  hooks: readonly Hook[],
): Promise<void> => {
  for (const hook of hooks) {
    // oxlint-disable-next-line no-await-in-loop -- hooks run in their order
    await runHook(stack, containerId, hook);
  }
};
