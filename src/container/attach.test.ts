/** Attaching in the moment in which a container ends. */
import { expect, test } from "bun:test";
import { NaruError } from "#lib/errors.ts";
import { attachContainer } from "#container/attach.ts";
import type { Engine } from "#container/engine.ts";
import { StdioSessions } from "#container/stdio-sessions.ts";
import { Waiters } from "#container/waiters.ts";

const RECORD = { id: "one", logPath: "", config: { Tty: false, OpenStdin: false } };
const RUNNING = { ...RECORD, state: { status: "running", exitCode: 0 } };
const EXITED = { ...RECORD, state: { status: "exited", exitCode: 0 } };

test("who attaches when the monitor has closed already sees the end, not an error", async () => {
  const waiters = new Waiters();
  const attach = (): never => {
    queueMicrotask(() => waiters.onExit(EXITED as never));
    throw new NaruError("unavailable", "the process's attach socket is gone: it has ended");
  };
  const engine = {
    current: () => RUNNING,
    emit: () => undefined,
    runtimeOf: () => ({ attach }),
    states: { find: () => RUNNING },
    stdio: new StdioSessions(),
    waiters,
  };
  const session = await attachContainer(engine as unknown as Engine, "one", {
    logs: false,
    stream: true,
    stdin: false,
    stdout: true,
    stderr: true,
    detachKeys: "",
  });
  expect(await Array.fromAsync(session.output)).toEqual([]);
});
