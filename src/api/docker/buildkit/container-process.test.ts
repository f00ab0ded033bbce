import { expect, test } from "bun:test";
import { GatewayContainers } from "#api/docker/buildkit/gateway-containers.ts";
import { RemoteProcess } from "#api/docker/buildkit/container-process.ts";
import type { BuildContainer, ContainerProcess } from "#build/llb/llb.ts";

test("a process whose client is gone is killed; one that has ended is not", async () => {
  const signals: number[] = [];
  const exited = Promise.withResolvers<number>();
  const process = {
    stdio: {
      output: { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true }) }) },
      close: () => undefined,
    },
    exited: exited.promise,
    signal: (number: number) => void signals.push(number),
  } as unknown as ContainerProcess;
  const call = { send: () => Promise.resolve() };
  const cut = new RemoteProcess("cut", process, [1], call);
  cut.close();
  expect(signals).toEqual([9]);
  cut.close();
  exited.resolve(137);
  await cut.ended;
  expect(signals).toEqual([9]);
});

test("one container that cannot be removed keeps no other one from it, and is told", async () => {
  const containers = new GatewayContainers();
  const removed: string[] = [];
  const containerOf = (name: string, error?: Error): BuildContainer =>
    ({
      [Symbol.asyncDispose]: async () => {
        if (error !== undefined) throw error;
        await new Promise(setImmediate);
        removed.push(name);
      },
    }) as unknown as BuildContainer;
  await containers.add("1", () => Promise.resolve(containerOf("1", new Error("busy"))));
  await containers.add("2", () => Promise.resolve(containerOf("2")));
  const error: unknown = await containers.close().catch((thrown: unknown) => thrown);
  expect(error).toEqual(new Error("busy"));
  expect(removed).toEqual(["2"]);
});
