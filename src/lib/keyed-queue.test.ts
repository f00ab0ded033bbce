import { expect, test } from "bun:test";
import { KeyedQueue } from "#lib/keyed-queue.ts";

test("tasks of one key run in order, other keys do not wait", async () => {
  const queue = new KeyedQueue();
  const order: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = queue.run("a", async () => {
    await gate.promise;
    order.push("a1");
  });
  const second = queue.run("a", async () => void order.push("a2"));
  await queue.run("b", async () => void order.push("b1"));
  gate.resolve();
  await Promise.all([first, second]);
  expect(order).toEqual(["b1", "a1", "a2"]);
});

test("a failed task fails its caller only", async () => {
  const queue = new KeyedQueue();
  const failed = queue.run("a", async () => {
    throw new Error("no");
  });
  const after = queue.run("a", async () => 2);
  expect(failed).rejects.toThrow("no");
  expect(await after).toBe(2);
  expect(queue.isBusy("a")).toBe(false);
});
