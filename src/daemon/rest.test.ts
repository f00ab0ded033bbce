import { expect, test } from "bun:test";
import { restWhenQuiet } from "#daemon/rest.ts";

const clearing = (quietMs: number) => {
  let next = Promise.withResolvers<void>();
  let count = 0;
  const rest = restWhenQuiet(() => {
    count += 1;
    next.resolve();
    next = Promise.withResolvers<void>();
  }, quietMs);
  return { rest, count: () => count, next: () => next.promise };
};

test("after much work, and once for it, what it left is cleared", async () => {
  const { rest, count, next } = clearing(5);
  using _ended = rest;
  const first = next();
  for (let index = 0; index < 150; index += 1) rest.onRequest();
  await first;
  expect(count()).toBe(1);
  // The count begins anew: a little more is not worth it, together with more it is.
  const second = next();
  for (let index = 0; index < 60; index += 1) rest.onRequest();
  await Bun.sleep(20);
  expect(count()).toBe(1);
  for (let index = 0; index < 60; index += 1) rest.onRequest();
  await second;
  expect(count()).toBe(2);
});

test("nothing is cleared before it was quiet for so long, nor after the end", async () => {
  const { rest, count } = clearing(60_000);
  for (let index = 0; index < 500; index += 1) rest.onRequest();
  await Bun.sleep(1);
  expect(count()).toBe(0);
  rest[Symbol.dispose]();
  const ended = clearing(1);
  for (let index = 0; index < 500; index += 1) ended.rest.onRequest();
  ended.rest[Symbol.dispose]();
  await Bun.sleep(20);
  expect(ended.count()).toBe(0);
});
