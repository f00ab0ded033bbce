import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "bun:test";
import type { DockerBackend } from "#api/docker/backend.ts";
import { containerHandlers } from "#api/docker/buildkit/container-calls.ts";
import type { GatewayScope } from "#api/docker/buildkit/gateway-scope.ts";
import type { ContainerProcess } from "#build/llb/llb.ts";
import { ExecMessageSchema } from "#spec/buildkit/gateway.gen.ts";
import { ExecMetaSchema } from "#spec/buildkit/llb.gen.ts";

const MIB = 1024 * 1024;

const init = toBinary(
  ExecMessageSchema,
  create(ExecMessageSchema, {
    processId: "p",
    input: {
      case: "init",
      value: {
        containerId: "c",
        fds: [0, 1],
        meta: toBinary(ExecMetaSchema, create(ExecMetaSchema, { args: ["sleep"] })),
      },
    },
  }),
);
const input = toBinary(
  ExecMessageSchema,
  create(ExecMessageSchema, {
    processId: "p",
    input: { case: "file", value: { fd: 0, data: new Uint8Array(2 * MIB) } },
  }),
);

/** A process that reads nothing and ends by SIGKILL alone. */
const setUp = () => {
  const signals: number[] = [];
  const exited = Promise.withResolvers<number>();
  const process = {
    stdio: {
      output: { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true }) }) },
      write: () => exited.promise,
      close: () => undefined,
    },
    exited: exited.promise,
    signal: (number: number) => {
      signals.push(number);
      exited.resolve(137);
    },
  } as unknown as ContainerProcess;
  const scope = { containers: { get: () => ({ start: () => Promise.resolve(process) }) } };
  const handlers = containerHandlers(
    {} as DockerBackend,
    () => scope as unknown as GatewayScope,
    "",
  );
  const [, exec] = handlers.find(([name]) => name === "ExecProcess")!;
  return { exec, signals };
};

test.each([
  ["when all input has come", [init]],
  ["while its input waits", [init, input]],
])("a client that cuts the stream %s ends its processes", async (_, sent) => {
  const { exec, signals } = setUp();
  const stop = new AbortController();
  const begun = Promise.withResolvers<void>();
  async function* messages(): AsyncGenerator<Uint8Array, void> {
    yield* sent;
    await Promise.resolve();
  }
  const call = {
    path: "",
    metadata: {},
    signal: stop.signal,
    messages: messages(),
    send: () => Promise.resolve(begun.resolve()),
  };
  const running = exec(call);
  await begun.promise;
  await new Promise(setImmediate);
  stop.abort();
  await running;
  expect(signals).toEqual([9]);
});
