/** What goes on while a process runs already and its start is not over: the runtime lets it go on its own. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { now } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
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

/** Starts it; `attach` is asked for the second client, who comes while the process runs and no row says so. */
const startWith = async (attach: () => Stdio) => {
  const bundle = mkdtempSync(`${tmpdir()}/naru-start-`);
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rmSync(bundle, { recursive: true }));
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
      return { pid: 1, conmonPid: 1 };
    },
    start: () => Promise.resolve(),
  };
  const nothing = (): undefined => undefined;
  const engine = {
    bundleOf: () => bundle,
    current: () => record,
    deps: {
      kernel: { startTime: () => 1n },
      volumes: { runtimeMounts: () => Promise.resolve([]) },
      log: { warn: nothing },
    },
    emit: nothing,
    followed: () => Promise.resolve(),
    rotation: { keepWhole: nothing },
    runtimeOf: () => runtime,
    stdio,
    transition: (_id: string, change: object) => (record = { ...record, ...change }),
  };
  const first = open();
  await startContainer(engine as unknown as Engine, "one");
  const said = async (session: AttachedSession | undefined): Promise<string> => {
    const chunks = await Array.fromAsync(session?.output ?? []);
    return chunks.map(({ bytes }) => new TextDecoder().decode(bytes)).join("");
  };
  return { state: record.state, heardAt, said: [await said(first), await said(second)] };
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
