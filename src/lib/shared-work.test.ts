import { expect, test } from "bun:test";
import { SharedWork } from "#lib/shared-work.ts";

const never = new AbortController().signal;

const setUp = () => {
  const released: string[] = [];
  const work = new SharedWork<string, number>(async (result) => void released.push(result));
  return { released, work };
};

test("two callers share one run, its events and its result; the last one gives it back", async () => {
  const { released, work } = setUp();
  const gate = Promise.withResolvers<void>();
  let runs = 0;
  const start = async (_signal: AbortSignal, tell: (event: number) => void): Promise<string> => {
    runs += 1;
    tell(1);
    await gate.promise;
    tell(2);
    return "done";
  };
  const first = work.join("a", start, never);
  const second = work.join("a", start, never);
  const seen: number[] = [];
  second.follow((event) => seen.push(event));
  gate.resolve();
  expect([await first.result, await second.result, runs, seen]).toEqual([
    "done",
    "done",
    1,
    [1, 2],
  ]);
  await first[Symbol.asyncDispose]();
  await first[Symbol.asyncDispose]();
  expect(released).toEqual([]);
  await second[Symbol.asyncDispose]();
  expect(released).toEqual(["done"]);
});

test("the work is stopped when all have gone, not before", async () => {
  const { work } = setUp();
  let signal: AbortSignal | undefined;
  const start = (given: AbortSignal): Promise<string> => {
    signal = given;
    return new Promise((_, reject) => given.addEventListener("abort", () => reject(given.reason)));
  };
  const first = work.join("a", start, never);
  const second = work.join("a", start, never);
  await first[Symbol.asyncDispose]();
  expect(signal?.aborted).toBe(false);
  await second[Symbol.asyncDispose]();
  expect(signal?.aborted).toBe(true);
  expect(await second.result.catch(() => "stopped")).toBe("stopped");
});

test("a failure is told to all who waited; who comes later tries anew", async () => {
  const { work } = setUp();
  const failing = work.join(
    "a",
    async () => {
      throw new Error("no");
    },
    never,
  );
  expect(await failing.result.catch((error: Error) => error.message)).toBe("no");
  await using again = work.join("a", async () => "yes", never);
  expect(await again.result).toBe("yes");
  await failing[Symbol.asyncDispose]();
  expect(await again.result).toBe("yes");
});

test("who is aborted waits no longer, and the work stops when nobody else waits", async () => {
  const { work } = setUp();
  let signal: AbortSignal | undefined;
  const start = (given: AbortSignal): Promise<string> => {
    signal = given;
    return new Promise((_, reject) => given.addEventListener("abort", () => reject(given.reason)));
  };
  const leaves = new AbortController();
  const first = work.join("a", start, leaves.signal);
  const second = work.join("a", start, never);
  leaves.abort(new Error("gone"));
  expect(await first.result.catch((error: Error) => error.message)).toBe("gone");
  await first[Symbol.asyncDispose]();
  expect(signal?.aborted).toBe(false);
  await second[Symbol.asyncDispose]();
  expect(signal?.aborted).toBe(true);
});
