import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { createCatalog } from "#image/catalog.ts";
import { sweepBlobs } from "#image/sweep-blobs.ts";
import { type FakeImages, createFakeImages, failureOf } from "#image/images.fake.ts";
import { leastCpuMs } from "#lib/cpu-time.fake.ts";
import { NaruError } from "#lib/errors.ts";
import { type Filters, parseFilters } from "#spec/docker/filters.ts";
import { type Digest, digestOf, hexOf } from "#spec/image/digest.ts";
import { parsePlatform } from "#spec/image/platform.ts";

let fake: FakeImages;
beforeEach(() => {
  fake = createFakeImages();
});
afterEach(() => fake[Symbol.dispose]());

const filters = (object: Record<string, string[]>): Filters =>
  parseFilters(JSON.stringify(object), Object.keys(object));
const list = (object: Record<string, string[]>, isAll = false): string[] =>
  fake.images.list({ isAll, filters: filters(object) }).map((image) => image.Id);
const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return error instanceof NaruError ? error.code : "foreign";
  }
  return "none";
};
const remove = (name: string, isForced = false): Promise<unknown> =>
  fake.images.remove(name, { isForced, isParentKept: false });

test("an image is found by everything that names it", async () => {
  const id = await fake.add("a", {
    references: ["alpine:3.20", `alpine@${digestOf("m")}`, "localhost:5000/x/y"],
  });
  const names = [
    id,
    hexOf(id),
    hexOf(id).slice(0, 12),
    id.slice(0, 20),
    "alpine:3.20",
    "docker.io/library/alpine:3.20",
    `alpine@${digestOf("m")}`,
    `alpine:whatever@${digestOf("m")}`,
    "localhost:5000/x/y:latest",
  ];
  for (const name of names) expect(fake.images.resolve(name)).toBe(id);
  const record = fake.images.get("alpine:3.20");
  expect(record.repoTags).toEqual(["alpine:3.20", "localhost:5000/x/y:latest"]);
  expect(record.repoDigests).toEqual([`alpine@${digestOf("m")}`]);
  expect(record.chainId).toBe(digestOf("tar of a"));
});

test("what is not there is named as Docker names it", async () => {
  await fake.add("a");
  expect(() => fake.images.get("nope")).toThrow("No such image: nope:latest");
  expect(() => fake.images.get("x/nope:1")).toThrow("No such image: x/nope:1");
  expect(() => fake.images.get("f".repeat(64))).toThrow(`No such image: sha256:${"f".repeat(64)}`);
  expect(codeOf(() => fake.images.get("nope"))).toBe("not_found");
  expect(codeOf(() => fake.images.get("Nope"))).toBe("invalid_argument");
  expect(fake.images.find("nope")).toBeUndefined();
});

test("an ambiguous id prefix is refused", async () => {
  const prefixes = new Set<string>();
  for (let index = 0; ; index += 1) {
    const prefix = hexOf(await fake.add(`image ${index}`)).slice(0, 1);
    if (prefixes.has(prefix)) {
      expect(() => fake.images.resolve(prefix)).toThrow("ambiguous");
      return;
    }
    prefixes.add(prefix);
  }
});

test("a platform that the image is not for is not found", async () => {
  await fake.add("a", { references: ["a"] });
  expect(fake.images.get("a", parsePlatform("linux/amd64")).platform.architecture).toBe("amd64");
  expect(() => fake.images.get("a", parsePlatform("linux/arm64"))).toThrow(
    "image with reference a was found but does not provide the specified platform (linux/arm64)",
  );
});

test("resolving is fast, however many images there are", async () => {
  const counts: number[] = [];
  for (const [from, to] of [
    [0, 50],
    [50, 500],
  ] as const) {
    for (let index = from; index < to; index += 1) {
      await fake.add(`image ${index}`, { references: [`image${index}`] });
    }
    const before = fake.reads();
    for (let index = 0; index < 50; index += 1) fake.images.get(`image${index}`);
    counts.push(fake.reads() - before);
  }
  // All of it is in memory.
  expect(counts).toEqual([0, 0]);
  const spentMs = await leastCpuMs(5, () => {
    for (let index = 0; index < 1000; index += 1) fake.images.get(`image${index % 50}`);
  });
  expect(spentMs).toBeLessThan(100);
});

test("list filters", async () => {
  const old = await fake.add("old", { references: ["app:1"], created: "2025-01-01T00:00:00Z" });
  const named = await fake.add("named", {
    references: ["app:2", "reg.io/team/app:2"],
    labels: { a: "b" },
  });
  const base = await fake.add("base");
  const dangling = await fake.add("dangling", { parent: base, created: "2026-02-01T00:00:00Z" });
  expect(list({})).toEqual([dangling, named, old]);
  fake.containers.set(named, [
    { id: "c1", isRunning: false },
    { id: "c2", isRunning: true },
  ]);
  const counts = (hasUsers: boolean): number[] =>
    fake.images
      .list({ isAll: false, filters: filters({}), hasUsers })
      .map(({ Containers }) => Containers);
  expect([counts(true), counts(false)]).toEqual([
    [0, 2, 0],
    [-1, -1, -1],
  ]);
  expect(list({}, true)).toHaveLength(4);
  expect(list({ dangling: ["true"] })).toEqual([dangling]);
  expect(list({ dangling: ["false"] })).toEqual([named, old]);
  expect(list({ label: ["a=b"] })).toEqual([named]);
  expect(list({ "label!": ["a"] })).toEqual([dangling, old]);
  expect(list({ before: ["app:2"] })).toEqual([old]);
  expect(list({ since: ["app:1"] })).toEqual([dangling, named]);
  expect(list({ until: ["2025-06-01"] })).toEqual([old]);
  expect(list({ reference: ["app"] })).toEqual([named, old]);
  expect(list({ reference: ["app:?"] })).toEqual([named, old]);
  expect(list({ reference: ["reg.io/*/app:[0-9]"] })).toEqual([named]);
  expect(list({ reference: ["*/app"] })).toEqual([]);
  expect(() => list({ reference: ["[a"] })).toThrow("syntax error in pattern");
  const [first] = fake.images.list({
    isAll: false,
    filters: filters({ reference: ["reg.io/*/*"] }),
  });
  expect(first?.RepoTags).toEqual(["reg.io/team/app:2"]);
});

test("tag checks its target, moves names, tells", async () => {
  const [a, b] = [await fake.add("a", { references: ["x:1"] }), await fake.add("b")];
  expect(fake.images.tag("x:1", "y")).toBe("y:latest");
  fake.images.tag(b, "x:1");
  expect(fake.images.resolve("x:1")).toBe(b);
  expect(fake.images.get(a).repoTags).toEqual(["y:latest"]);
  expect(() => fake.images.tag("y", "Upper")).toThrow(
    "repository name (library/Upper) must be lowercase",
  );
  expect(() => fake.images.tag("y", `x@${a}`)).toThrow("refusing to create a tag with a digest");
  expect(() => fake.images.tag("y", "sha256:aa")).toThrow("ambiguous tag using digest algorithm");
  expect(() => fake.images.tag("zz", "x")).toThrow("No such image: zz:latest");
  expect(fake.events.at(-1)).toMatchObject({
    Action: "tag",
    Actor: { ID: b, Attributes: { name: "x:1" } },
  });
});

test("removing a name keeps the image while it has another", async () => {
  const id = await fake.add("a", { references: ["x:1", "x:2"] });
  expect(await remove("x:1")).toEqual([{ Untagged: "x:1" }]);
  expect(await remove("x:2")).toEqual([
    { Untagged: "x:2" },
    { Deleted: id },
    { Deleted: digestOf("tar of a") },
  ]);
  expect(fake.images.find(id)).toBeUndefined();
  expect(fake.content.info(digestOf("tar of a"))).toBeUndefined();
  expect(fake.events.slice(-3).map((event) => event.Action)).toEqual(["untag", "untag", "delete"]);
});

test("removing by id takes one repository's names, refuses several", async () => {
  const id = await fake.add("a", { references: ["x:1", "y:1"] });
  const short = hexOf(id).slice(0, 12);
  expect(await failureOf(remove(id))).toContain(
    `conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
  );
  expect(await remove(id, true)).toHaveLength(4);
});

test("the last tag of a repository takes its digests along", async () => {
  await fake.add("a", { references: ["x:1", `x@${digestOf("m")}`] });
  expect(await remove("x:1")).toMatchObject([
    { Untagged: "x:1" },
    { Untagged: `x@${digestOf("m")}` },
    {},
    {},
  ]);
});

test("an image in use stays", async () => {
  const id = await fake.add("a", { references: ["x:1"] });
  const short = hexOf(id).slice(0, 12);
  const container = "c".repeat(64);
  fake.containers.set(id, [{ id: container, isRunning: true }]);
  expect(await failureOf(remove("x:1"))).toContain(
    `conflict: unable to remove repository reference "x:1" (must force) - container cccccccccccc is using its referenced image ${short}`,
  );
  expect(await failureOf(remove(id, true))).toContain(
    `conflict: unable to delete ${short} (cannot be forced) - image is being used by running container cccccccccccc`,
  );
  expect(await remove("x:1", true)).toEqual([{ Untagged: "x:1" }]);
  fake.containers.set(id, [{ id: container, isRunning: false }]);
  expect(await failureOf(remove(id))).toContain(
    `(must be forced) - image is being used by stopped container cccccccccccc`,
  );
  expect(await remove(id, true)).toContainEqual({ Deleted: id });
});

test("children keep their parent; with the last child an untagged parent goes", async () => {
  const base = await fake.add("base", { layers: ["base"] });
  const child = await fake.add("child", {
    layers: ["base", "top"],
    parent: base,
    references: ["x"],
  });
  expect(await failureOf(remove(base, true))).toContain(
    "(cannot be forced) - image has dependent child images",
  );
  const items = (await remove("x")) as { Deleted?: string }[];
  expect(items.map((item) => item.Deleted)).toEqual([
    undefined,
    child,
    digestOf(`${digestOf("tar of base")} ${digestOf("tar of top")}`),
    base,
    digestOf("tar of base"),
  ]);
});

test("layers that another image stands on stay", async () => {
  const below = await fake.add("below", { layers: ["base"], references: ["below"] });
  await fake.add("above", { layers: ["base", "top"], references: ["above"] });
  expect(await remove("above")).toHaveLength(3);
  expect(fake.dependencies.layers.layers()).toHaveLength(1);
  expect(fake.content.info(digestOf("tar of base"))).toBeDefined();
  expect(fake.images.get("below").id).toBe(below);
});

test("prune takes what nothing names, or nothing uses", async () => {
  const used = await fake.add("used", { references: ["used"] });
  const unused = await fake.add("unused", { references: ["unused"], labels: { keep: "no" } });
  const dangling = await fake.add("dangling");
  fake.containers.set(used, [{ id: "c", isRunning: false }]);
  const first = await fake.images.prune(filters({}));
  expect(first.ImagesDeleted).toContainEqual({ Deleted: dangling });
  expect(first.SpaceReclaimed).toBe("tar of dangling".length);
  expect(
    (await fake.images.prune(filters({ dangling: ["false"], label: ["x"] }))).ImagesDeleted,
  ).toBeNull();
  const second = await fake.images.prune(filters({ dangling: ["false"] }));
  expect(second.ImagesDeleted).toContainEqual({ Untagged: "unused:latest" });
  expect(fake.images.find(unused)).toBeUndefined();
  expect(fake.images.find(used)).toBeDefined();
  expect(fake.events.at(-1)).toMatchObject({
    Action: "prune",
    Actor: { Attributes: { reclaimed: "13" } },
  });
});

test("prune of all takes what pulls left that were given up, not what one under way fetches", async () => {
  const [left, wanted] = ["left", "wanted"].map((text) => digestOf(text));
  const partials = [left!, wanted!].map((digest) => fake.content.partialPath(digest));
  for (const path of partials) writeFileSync(path, "12345");
  using _lease = fake.dependencies.leases.acquire([{ kind: "blob", resource: wanted! }]);
  const isThere = (): boolean[] => partials.map((path) => existsSync(path));
  for (const kept of [{}, { dangling: ["false"], label: ["x"] }]) {
    expect((await fake.images.prune(filters(kept))).SpaceReclaimed).toBe(0);
    expect(isThere()).toEqual([true, true]);
  }
  expect((await fake.images.prune(filters({ dangling: ["false"] }))).SpaceReclaimed).toBe(5);
  expect(isThere()).toEqual([false, true]);
});

test("sizes count shared layers once", async () => {
  await fake.add("a", { layers: ["base", "a"] });
  await fake.add("b", { layers: ["base", "bbb"] });
  const usage = fake.images.usage();
  const [base, a, b] = ["tar of base", "tar of a", "tar of bbb"].map((text) => text.length);
  expect(usage.layersBytes).toBe(base! + a! + b!);
  expect(usage.images.map((item) => [item.sharedBytes, item.uniqueBytes])).toEqual([
    [base!, a!],
    [base!, b!],
  ]);
});

test("history and inspect speak Docker's shapes", async () => {
  const base = await fake.add("base", { layers: ["base"], references: ["base"] });
  const id = await fake.add("top", { layers: ["base", "top"], references: ["top"], parent: base });
  expect(fake.images.history("top")).toMatchObject([
    { Id: id, CreatedBy: "step 1", Tags: ["top:latest"], Size: "tar of top".length },
    { Id: base, CreatedBy: "step 0", Tags: ["base:latest"] },
  ]);
  expect(fake.images.inspect("top")).toMatchObject({
    Id: id,
    Parent: base,
    RepoTags: ["top:latest"],
    RootFS: { Type: "layers", Layers: [digestOf("tar of base"), digestOf("tar of top")] },
    GraphDriver: { Name: "overlay2" },
  });
});

test("collect takes away what a crash left", async () => {
  await fake.add("a", { references: ["a"] });
  const orphan = fake.content.write("orphan layer");
  await fake.dependencies.layers.unpack({ parent: undefined, source: { path: orphan.path } });
  fake.dependencies.rows.putLayer(orphan.digest, 12, [
    { digest: orphan.digest, mediaType: "", sizeBytes: 12 },
  ]);
  expect(await fake.images.collect()).toEqual({ layers: 1, reclaimedBytes: 12 });
  expect(fake.content.info(orphan.digest)).toBeUndefined();
  expect(fake.dependencies.layers.layers()).toHaveLength(1);
  const none: Digest[] = fake.dependencies.rows.layers().filter((id) => id === orphan.digest);
  expect(none).toEqual([]);
});

test("blobs that nothing speaks of go when they have rested; what images stand on stays", async () => {
  await fake.add("a", { references: ["a"] });
  const before = [...fake.content.walk()].map(({ digest }) => digest);
  const stray = fake.content.write("replaced manifest");
  const held = fake.content.write("held");
  using _lease = fake.dependencies.leases.acquire([{ kind: "blob", resource: held.digest }]);
  const catalog = createCatalog(fake.dependencies);
  expect(sweepBlobs(fake.dependencies, catalog)).toBe(0);
  // As if an hour had passed.
  expect(sweepBlobs(fake.dependencies, catalog, -1000)).toBe(stray.sizeBytes);
  expect([...fake.content.walk()].map(({ digest }) => digest).toSorted()).toEqual(
    [...before, held.digest].toSorted(),
  );
});

test("restore unpacks what a power cut took, names what is lost", async () => {
  const whole = await fake.add("whole", { layers: ["base", "top"], references: ["whole"] });
  const lost = await fake.add("lost", { references: ["lost"] });
  const { layers, content } = fake.dependencies;
  const chainId = fake.images.get("whole").chainId!;
  for (const gone of [chainId, digestOf("tar of base"), digestOf("tar of lost")])
    layers.removeLayer(gone);
  content.delete(digestOf("tar of lost"));
  content.openIngest();
  expect(await fake.images.restore()).toEqual({
    sweptIngests: 1,
    removedLayers: 0,
    unpackedLayers: 2,
    brokenImages: [lost],
  });
  expect(layers.layer(chainId)).toBeDefined();
  expect(fake.images.get(whole).chainId).toBe(chainId);
});
