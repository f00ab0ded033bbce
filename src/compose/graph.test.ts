import { expect, test } from "bun:test";
import { runGraph } from "#compose/graph.ts";

const node = (id: string, ...needs: string[]) => ({ id, needs });

test("each runs after what it needs, the rest at once", async () => {
  const seen: string[] = [];
  await runGraph(
    [node("c", "a", "b"), node("a"), node("b", "a"), node("d", "nobody")],
    9,
    async ({ id }) => {
      await Promise.resolve();
      seen.push(id);
    },
  );
  expect(seen).toEqual(["a", "d", "b", "c"]);
});

test("no more at once than allowed", async () => {
  let most = 0;
  let now = 0;
  await runGraph(
    ["a", "b", "c", "d", "e"].map((id) => node(id)),
    2,
    async () => {
      now += 1;
      most = Math.max(most, now);
      await Bun.sleep(1);
      now -= 1;
    },
  );
  expect(most).toBe(2);
});

test("the first failure stops what has not begun; what runs is waited for", async () => {
  const seen: string[] = [];
  const done = runGraph(
    [node("a"), node("slow"), node("b", "slow"), node("c", "a")],
    9,
    async ({ id }) => {
      if (id === "a") throw new Error("a failed");
      await Bun.sleep(5);
      seen.push(id);
    },
  );
  expect(await done.catch(String)).toContain("a failed");
  expect(seen).toEqual(["slow"]);
});

test("a circle is told", async () => {
  const done = runGraph([node("a", "b"), node("b", "a")], 9, () => Promise.resolve());
  expect(await done.catch(String)).toContain("wait for each other: a, b");
});
