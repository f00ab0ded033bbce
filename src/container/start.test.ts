/** What goes on while a process runs already and its start is not over: the runtime lets it go on its own. */
import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { now } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import type { ContainerRecord } from "#container/container.ts";
import type { Engine } from "#container/engine.ts";
import { startContainer } from "#container/start.ts";
import { type AttachedSession, StdioSessions } from "#container/stdio-sessions.ts";
import type { CreateOptions, Stdio } from "#runtime/runtime.ts";

const CREATED = {
  id: "one",
  logPath: "",
  mounts: [],
  endpoints: {},
  config: { Tty: false, OpenStdin: false, StdinOnce: false },
  path: "nosuch",
  hostConfig: { IpcMode: "private" },
  state: { status: "created", startedAt: "", finishedAt: "", exitCode: 0 },
} as unknown as ContainerRecord;

const SESSION = { isTty: false, stdin: false, stdout: true, stderr: true };

const stdioSaying = (text: string): Stdio => ({
  output: (async function* () {
    await Promise.resolve();
    yield { stream: 1 as const, bytes: new TextEncoder().encode(text) };
  })(),
  write: () => Promise.resolve(),
  closeStdin: () => undefined,
  close: () => undefined,
});

/**
 * Starts it; `attach` is asked for the second client, who comes while the process runs and no row says so. `failure` is
 * what the runtime says of it after that.
 */
const startWith = async (attach: () => Stdio, failure?: NaruError) => {
  const bundle = mkdtempSync(`${tmpdir()}/naru-start-`);
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rmSync(bundle, { recursive: true, force: true }));
  const stdio = new StdioSessions();
  const open = (): AttachedSession =>
    stdio.open("one", {
      ...SESSION,
      replay: undefined,
      detach: undefined,
      onDetach: () => undefined,
    });
  let record = CREATED;
  let second: AttachedSession | undefined;
  let heardAt = "";
  const runtime = {
    attach: () => (second === undefined ? stdioSaying("first") : attach()),
    create: async ({ beforeStart }: CreateOptions) => {
      beforeStart?.();
      heardAt = now();
      second = open();
      await Bun.sleep(2);
      if (failure !== undefined) throw failure;
      return { pid: 1, conmonPid: 1 };
    },
    start: () => Promise.resolve(),
  };
  const nothing = (): undefined => undefined;
  const released: string[] = [];
  const events: string[] = [];
  const engine = {
    bundleOf: () => bundle,
    current: () => record,
    deps: {
      kernel: { startTime: () => 1n, unmount: (path: string) => released.push(path) },
      snapshots: { unmount: (id: string) => released.push(`root of ${id}`) },
      volumes: {
        runtimeMounts: () => Promise.resolve([]),
        releaseMounts: (id: string) => released.push(`volumes of ${id}`),
      },
      log: { warn: nothing },
    },
    emit: (_record: unknown, action: string) => events.push(action),
    states: { find: () => record },
    followed: () => Promise.resolve(),
    rotation: { keepWhole: nothing },
    runtimeOf: () => runtime,
    stdio,
    transition: (_id: string, change: object) => (record = { ...record, ...change }),
  };
  const first = open();
  const thrown = await startContainer(engine as unknown as Engine, "one").then(
    () => "",
    (error: unknown) => toNaruError(error).message,
  );
  const said = async (session: AttachedSession | undefined): Promise<string> => {
    const chunks = await Array.fromAsync(session?.output ?? []);
    return chunks.map(({ bytes }) => new TextDecoder().decode(bytes)).join("");
  };
  const heard = [await said(first), await said(second)];
  const shm = `${bundle}/shm`;
  const isBundleThere = existsSync(bundle);
  return {
    state: record.state,
    heardAt,
    said: heard,
    thrown,
    events,
    released: released.map((path) => (path === shm ? "shm" : path)),
    isBundleThere,
  };
};

test("a container has started when its process is let go: what that says comes after it", async () => {
  const { state, heardAt } = await startWith(() => stdioSaying(""));
  expect(state.status).toBe("running");
  expect(state.startedAt <= heardAt).toBe(true);
});

test("who attaches between the process and its row hears the process", async () => {
  expect((await startWith(() => stdioSaying("second"))).said).toEqual(["first", "second"]);
});

test("who attaches then, to a process that has ended before its row, sees the end", async () => {
  const { state, said } = await startWith(() => {
    throw new NaruError("unavailable", "the process's attach socket is gone: it has ended");
  });
  expect([state.status, ...said]).toEqual(["running", "first", ""]);
});

test("a start that fails after its process was let go: no container, and nobody waits for its output", async () => {
  const failure = new NaruError(
    "failed_precondition",
    "executable file `nosuch` not found in $PATH: No such file or directory",
  );
  const started = await startWith(() => stdioSaying("never"), failure);
  expect(started.state).toMatchObject({ status: "created", exitCode: 127, startedAt: "" });
  expect("error" in started.state && started.state.error).toBe(started.thrown);
  expect(started.thrown).toContain("not found in $PATH");
  // What the process said before is heard; who came later sees the end at once.
  expect(started.said).toEqual(["first", ""]);
  expect(started.released).toEqual(["root of one", "shm", "volumes of one"]);
  expect(started.isBundleThere).toBe(false);
  expect(started.events).toEqual([]);
});
