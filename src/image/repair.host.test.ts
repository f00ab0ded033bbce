/** What is lost is fetched again, by `check` that repairs and by the next pull. With the real workers and a registry. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { layer } from "#image/archive.fake.ts";
import { type FakeImages, createFakeImages } from "#image/images.fake.ts";
import { type FakeRegistry, startRegistry } from "#remote/registry.fake.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import { parsePlatform } from "#spec/image/platform.ts";

let fake: FakeImages;
let registry: FakeRegistry;
beforeEach(() => {
  fake = createFakeImages();
  registry = startRegistry();
});
afterEach(() => {
  fake[Symbol.dispose]();
  registry[Symbol.dispose]();
});

const zipped = (plain: Uint8Array) => ({ tar: plain, blob: Bun.gzipSync(new Uint8Array(plain)) });
const SMALL = zipped(layer("small"));

/** What the pull said, without its progress. */
const pulled = async (name: string, platform?: string): Promise<string[]> => {
  const words: string[] = [];
  await fake.images.pull(`${registry.host}/${name}`, {
    credentials: {},
    isAllTags: false,
    signal: new AbortController().signal,
    onEvent: ({ status, current }) => void (current === undefined && words.push(status)),
    ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
  });
  return words;
};

test("an image whose layers are gone is not called up to date: a pull brings them back", async () => {
  const digest = registry.addImage("1", [SMALL]);
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  registry.addIndex("several", [{ digest, platform: { os: "linux", architecture } }]);
  for (const name of ["a/b:1", "a/b:several"]) {
    await pulled(name);
    const { chainId } = fake.images.get(`${registry.host}/${name}`);
    fake.dependencies.layers.removeLayer(chainId!);
    expect(await pulled(name)).toContain("Pull complete");
    expect(fake.dependencies.layers.layer(chainId!)?.chainId).toBe(chainId!);
    expect((await pulled(name)).at(-1)).toContain("Image is up to date");
  }
});

test("a platform whose layers and blobs are gone is repaired by the name of its index", async () => {
  const entries = ["s390x", "riscv64"].map((architecture) => ({
    digest: registry.addImage(architecture, [zipped(layer(architecture))], { architecture }),
    platform: { os: "linux", architecture },
  }));
  registry.addIndex("1", entries);
  const name = `${registry.host}/a/b:1`;
  for (const platform of ["linux/s390x", "linux/riscv64"]) {
    await pulled("a/b:1", platform);
  }
  const part = fake.images.get(name, parsePlatform("linux/riscv64"));
  const { layers, content } = fake.dependencies;
  layers.removeLayer(part.chainId!);
  content.delete(digestOf(zipped(layer("riscv64")).blob));
  const outcomes: string[] = [];
  for await (const event of fake.images.check({ repairs: true })) {
    if (event.kind === "problem") outcomes.push(`${event.problem}: ${event.outcome}`);
  }
  expect(outcomes).toEqual(["1 of its 1 layers are gone: repaired"]);
  expect(layers.layer(part.chainId!)?.chainId).toBe(part.chainId!);
  expect(fake.images.get(name, parsePlatform("linux/riscv64")).id).toBe(part.id);
  expect(fake.images.get(name).repoDigests).toHaveLength(1);
});

test("a pull brings back a lower layer that is gone", async () => {
  registry.addImage("1", [SMALL, zipped(layer("upper"))]);
  await pulled("a/b:1");
  const { layers, content } = fake.dependencies;
  const { layer: layerOf, adopt } = layers;
  const lowest = layers.layers().find(({ parent }) => parent === undefined)?.chainId;
  let isGone = true;
  Object.assign(layers, {
    layer: (chainId: Digest) => (isGone && chainId === lowest ? undefined : layerOf(chainId)),
    adopt: (staged: Parameters<typeof adopt>[0]) => {
      isGone = false;
      return adopt(staged);
    },
  });
  for (const blob of content.walk()) content.delete(blob.digest);
  await pulled("a/b:1");
  expect(isGone).toBe(false);
});

test("repair fetches what the image was, not what its tag stands for by now, and nothing for a name given here", async () => {
  const [old, own] = ["old", "own"].map((text) => zipped(layer(text)));
  const digest = registry.addImage("1", [old!]);
  const name = `${registry.host}/a/b:1`;
  await pulled("a/b:1");
  const { id, chainId } = fake.images.get(name);
  const made = await fake.add("made", { references: [`${registry.host}/a/b:made`] });
  registry.addImage("1", [own!]);
  registry.addImage("made", [own!]);
  const { layers, content } = fake.dependencies;
  for (const gone of [chainId, fake.images.get(made).chainId]) layers.removeLayer(gone!);
  for (const blob of content.walk()) content.delete(blob.digest);
  const outcomes: string[] = [];
  for await (const event of fake.images.check({ repairs: true })) {
    if (event.kind === "problem") outcomes.push(`${event.id} ${event.outcome}`);
  }
  expect(outcomes).toEqual([`${name} repaired`, `${registry.host}/a/b:made left`]);
  expect(fake.images.get(name)).toMatchObject({
    id,
    repoDigests: [`${registry.host}/a/b@${digest}`],
  });
  expect(fake.images.get(`${registry.host}/a/b:made`).id).toBe(made);
});

test("while repair fetches an image, and after a repair that failed, its names are there", async () => {
  registry.addImage("1", [SMALL, zipped(layer("upper"))]);
  const name = `${registry.host}/a/b:1`;
  await pulled("a/b:1");
  const { rows, layers, content } = fake.dependencies;
  const before = rows.references();
  const [lowest] = layers.layers().filter(({ parent }) => parent === undefined);
  const losses = (): void => {
    layers.removeLayer(fake.images.get(name).chainId!);
    layers.removeLayer(lowest!.chainId);
    for (const blob of content.walk()) content.delete(blob.digest);
  };
  const seen: number[] = [];
  registry.log.push = () => seen.push(rows.references().length);
  const repair = async (): Promise<string[]> => {
    const outcomes: string[] = [];
    for await (const event of fake.images.check({ repairs: true })) {
      if (event.kind === "problem") outcomes.push(event.outcome);
    }
    return outcomes;
  };
  losses();
  const manifests = [...registry.manifests];
  registry.manifests.clear();
  expect(await repair()).toEqual(["left"]);
  for (const [key, one] of manifests) registry.manifests.set(key, one);
  expect(await repair()).toEqual(["repaired"]);
  expect(new Set(seen)).toEqual(new Set([before.length]));
  expect(rows.references()).toEqual(before);
});
