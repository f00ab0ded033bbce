import { expect, test } from "bun:test";
import type { BuildDependencies } from "#build/dependencies.ts";
import { type SolveOptions, Solver, type Vertex } from "#build/solver.ts";
import { NaruError } from "#lib/errors.ts";
import { silentLogger } from "#lib/log.ts";
import { openDatabase } from "#database/database.ts";
import { BUILD_CACHE_MIGRATIONS, createBuildCacheRows } from "#metadata/build-cache.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";

const LAYER = digestOf("layer");

const setUp = () => {
  const rows = createBuildCacheRows(openDatabase(":memory:", BUILD_CACHE_MIGRATIONS));
  const there = new Set<Digest>([LAYER]);
  const snapshots = { layer: (id: Digest) => (there.has(id) ? { sizeBytes: 7 } : undefined) };
  const warnings: string[] = [];
  const log = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
  const solver = new Solver({ rows, snapshots, log } as unknown as BuildDependencies);
  return { rows, there, solver, warnings };
};

const options = (extra: Partial<SolveOptions> = {}): SolveOptions => ({
  step: "s",
  isCacheIgnored: false,
  signal: new AbortController().signal,
  onRun: () => undefined,
  onOutput: () => undefined,
  ...extra,
});

const vertexOf = (run: Vertex["run"], definition: object = { op: "test" }): Vertex => ({
  description: "test",
  definition,
  parent: undefined,
  inputs: {},
  run,
});

test("what was run once is found the next time, with the time it was made", async () => {
  const { solver } = setUp();
  let runs = 0;
  const vertex = vertexOf(async () => {
    runs += 1;
    return LAYER;
  });
  const first = await solver.solve(vertex, options());
  const second = await solver.solve(vertex, options());
  expect([first.isCached, second.isCached, runs]).toEqual([false, true, 1]);
  expect(second.created).toBe(first.created);
  expect(second.chainId).toBe(LAYER);
});

test("a hit whose layer is gone is a miss", async () => {
  const { solver, there } = setUp();
  const vertex = vertexOf(async () => LAYER);
  await solver.solve(vertex, options());
  there.delete(LAYER);
  expect((await solver.solve(vertex, options())).isCached).toBe(false);
});

test("equal vertices at the same time run once, even when telling of it takes time", async () => {
  const { solver } = setUp();
  let runs = 0;
  const vertex = vertexOf(async (context) => {
    runs += 1;
    await context.output(1, Buffer.from("heard"));
    return LAYER;
  });
  const heard: string[] = [];
  const slow = options({
    onRun: () => Bun.sleep(5),
    onOutput: (_stream, bytes) => void heard.push(Buffer.from(bytes).toString()),
  });
  await Promise.all([solver.solve(vertex, slow), solver.solve(vertex, slow)]);
  expect(runs).toBe(1);
  expect(heard).toEqual(["heard", "heard"]);
});

test("the work goes on while somebody wants it, and ends with the last", async () => {
  const { solver } = setUp();
  let ended = "";
  const vertex = vertexOf(async ({ signal }) => {
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    ended = "ended";
    throw new Error("aborted");
  });
  const [one, other] = [new AbortController(), new AbortController()];
  const first = solver.solve(vertex, options({ signal: one.signal }));
  const second = solver.solve(vertex, options({ signal: other.signal }));
  await Bun.sleep(1);
  one.abort(new Error("one left"));
  expect(await first.catch((error: Error) => error.message)).toBe("one left");
  expect(ended).toBe("");
  other.abort(new Error("other left"));
  expect(await second.catch((error: Error) => error.message)).toBeDefined();
  expect(ended).toBe("ended");
});

test("a listener that fails does not fail the others", async () => {
  const { solver } = setUp();
  const vertex = vertexOf(async (context) => {
    for (let count = 0; count < 3; count++) await context.output(1, Buffer.from(String(count)));
    return LAYER;
  });
  const heard: string[] = [];
  const broken = options({
    onOutput: () => {
      throw new Error("client gone");
    },
  });
  const fine = options({ onOutput: (_s, bytes) => void heard.push(Buffer.from(bytes).toString()) });
  await Promise.allSettled([solver.solve(vertex, broken), solver.solve(vertex, fine)]);
  expect(heard).toContain("2");
});

test("a miss is explained by what changed", async () => {
  const { solver } = setUp();
  const reasons: string[] = [];
  const tell = options({ onRun: (_id, why) => void reasons.push(why) });
  const input = (text: string) => ({
    digest: text,
    files: new Map([["a.txt", `100644 0:0 ${text}`]]),
    sizeBytes: 1,
  });
  const base = vertexOf(async () => LAYER, { command: ["make"], user: "" });
  await solver.solve({ ...base, inputs: { context: input("x") } }, tell);
  await solver.solve({ ...base, inputs: { context: input("y") } }, tell);
  const other = { ...base, definition: { command: ["make", "all"], user: "" } };
  await solver.solve({ ...other, inputs: { context: input("y") } }, tell);
  await solver.solve(
    { ...other, inputs: { context: input("y") } },
    { ...tell, isCacheIgnored: true },
  );
  expect(reasons).toEqual([
    "it was not built before",
    "1 file of context changed: a.txt (content)",
    "command changed: all",
    "the cache is not to be used",
  ]);
});

test("layers of running builds are held", () => {
  const { solver } = setUp();
  const [one, two] = [solver.hold(LAYER), solver.hold(LAYER)];
  one[Symbol.dispose]();
  one[Symbol.dispose]();
  expect(solver.isLayerHeld(LAYER)).toBe(true);
  two[Symbol.dispose]();
  expect(solver.isLayerHeld(LAYER)).toBe(false);
});

test("a use that cannot be noted (a full disk) harms neither its build nor the engine", async () => {
  const { rows, solver, warnings } = setUp();
  const vertex = vertexOf(async () => LAYER);
  await solver.solve(vertex, options());
  rows.touch = () => {
    throw new NaruError("resource_exhausted", "the disk is full");
  };
  expect((await solver.solve(vertex, options())).isCached).toBe(true);
  await new Promise((resolve) => setImmediate(resolve));
  expect(warnings).toEqual(["uses of the build cache could not be noted"]);
  await solver.solve(vertex, options());
  expect(() => solver.countUses()).not.toThrow();
});
