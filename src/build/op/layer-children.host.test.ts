/** The two children that make a layer: started for a job, or before it. */
import { expect, test } from "bun:test";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import type { CopyPlan } from "#build/op/copy-plan.ts";
import { LayerChildren } from "#build/op/layer-children.ts";
import type { PackedLayer, TarSum } from "#build/worker-protocol.ts";
import { sleep } from "#lib/clock.ts";
import type { Kernel } from "#kernel/kernel.ts";
import { createKernel } from "#kernel/real.ts";
import { TAR_FILE } from "#snapshot/layer-form.ts";
import { temporary } from "#snapshot/tar-fixture.fake.ts";
import { digestOf } from "#spec/image/digest.ts";

const entry = new URL("../worker-entry.fake.ts", import.meta.url).pathname;

interface Place extends Disposable {
  readonly path: string;
  readonly kernel: Kernel;
  readonly children: LayerChildren;
  /** Makes a layer of what is in `source`. */
  make(name: string, signal?: AbortSignal): Promise<[PackedLayer, TarSum]>;
}

const place = (items: readonly Partial<CopyPlan["items"][number]>[] = [{}]): Place => {
  const { path, [Symbol.dispose]: dispose } = temporary();
  const kernel = createKernel();
  const children = new LayerChildren({ kernel, workerCommand: [process.execPath, entry] });
  mkdirSync(`${path}/below`);
  mkdirSync(`${path}/source`);
  writeFileSync(`${path}/source/file`, Buffer.alloc(3_000_000, "content"));
  const base = { root: `${path}/source`, path: "", target: "to", isUnpacked: false, ignored: [] };
  const plan: CopyPlan = {
    targetRoot: `${path}/below`,
    items: items.map((item) => ({ ...base, ...item })),
  };
  const planFile = `${path}/plan`;
  writeFileSync(planFile, JSON.stringify(plan));
  const make: Place["make"] = (name, signal = new AbortController().signal) => {
    const directory = `${path}/${name}`;
    const pack = { verb: "pack", planFile, directory } as const;
    return children.run(pack, { verb: "sum", file: `${directory}/${TAR_FILE}` }, signal);
  };
  return { path, kernel, children, make, [Symbol.dispose]: dispose };
};

const expectLayer = (t: Place, name: string, [packed, sum]: [PackedLayer, TarSum]): void => {
  const tar = readFileSync(`${t.path}/${name}/${TAR_FILE}`);
  expect(packed).toMatchObject({ sizeBytes: 3_000_000 });
  expect(sum).toEqual({ diffId: digestOf(tar), tarBytes: tar.length });
};

const openDescriptors = (): number => readdirSync("/proc/self/fd").length;

test("a layer is made by children that were expected, and by others", async () => {
  using t = place();
  const before = openDescriptors();
  t.children.expect();
  t.children.expect();
  expectLayer(t, "one", await t.make("one"));
  const both = await Promise.all([t.make("two"), t.make("three")]);
  expectLayer(t, "two", both[0]);
  expectLayer(t, "three", both[1]);
  // What belonged to the children is closed as the event loop comes to it.
  while (openDescriptors() > before) await sleep(5);
});

test("a copy that is not to be packed is told, and has no sum", async () => {
  using t = place([{}, { target: "too" }]);
  t.children.expect();
  const [packed, sum] = await t.make("one");
  expect(packed).toEqual({ unsuited: expect.stringContaining("several sources") as string });
  expect(sum).toEqual({});
});

test("whoever gives up gets its own reason", async () => {
  using t = place();
  const reason = new Error("enough");
  t.children.expect();
  const controller = new AbortController();
  const making = t.make("one", controller.signal);
  controller.abort(reason);
  expect(await making.catch((error: unknown) => error)).toBe(reason);
  expectLayer(t, "two", await t.make("two"));
});

test("a failure of the packing child is the layer's", async () => {
  using t = place([{ root: "/nowhere/at/all" }]);
  expect(await t.make("one").catch((error: unknown) => String(error))).toContain("nowhere");
});
