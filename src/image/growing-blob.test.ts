import { expect, test } from "bun:test";
import { Growth } from "#image/growing-blob.ts";

test("all who wait for bytes hear of them, and each of its own", async () => {
  const growth = new Growth();
  const reached: number[] = [];
  const waits = [10, 20, 10].map(async (bytes) => {
    await growth.reach(bytes);
    reached.push(bytes);
  });
  growth.set(5);
  growth.set(15);
  await Promise.all([waits[0], waits[2]]);
  expect(reached).toEqual([10, 10]);
  growth.set(20);
  await Promise.all(waits);
  expect(reached).toEqual([10, 10, 20]);
});

test("a download that begins anew ends every wait", async () => {
  const growth = new Growth();
  growth.set(5);
  const waits = [growth.reach(10), growth.reach(20)];
  growth.set(0);
  await Promise.all(waits);
  expect(growth.isWrong).toBe(true);
});
