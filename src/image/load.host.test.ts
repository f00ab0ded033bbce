import { afterEach, beforeEach, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { configOf, dockerItems, type Item, layer, source, tar } from "#image/archive.fake.ts";
import type { LoadEvent } from "#image/image.ts";
import { loadEventText } from "#image/image.ts";
import { type FakeImages, createFakeImages, failureOf } from "#image/images.fake.ts";
import { type Digest, digestOf, hexOf } from "#spec/image/digest.ts";
import { OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST } from "#spec/image/media-type.ts";
import { parsePlatform } from "#spec/image/platform.ts";

let fake: FakeImages;
beforeEach(() => {
  fake = createFakeImages();
});
afterEach(() => fake[Symbol.dispose]());

const load = async (
  archive: Uint8Array,
  platform?: string,
): Promise<{ ids: Digest[]; said: string[] }> => {
  const events: LoadEvent[] = [];
  const ids = await fake.images.load(source(archive), {
    signal: new AbortController().signal,
    onEvent: (event) => events.push(event),
    ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
  });
  const said = events.map(loadEventText).filter((text) => text !== undefined);
  return { ids, said };
};

const expectNothingLeft = (): void => {
  expect([...fake.content.walk()]).toEqual([]);
  expect(readdirSync(join(fake.root, "content/ingest"))).toEqual([]);
  expect(fake.dependencies.layers.layers()).toEqual([]);
  expect([...fake.dependencies.rows.list()]).toEqual([]);
};

test("a docker archive, plain and compressed", async () => {
  const layers = [layer("one"), layer("two")];
  const archive = tar(...dockerItems(layers));
  const id = digestOf(configOf(layers));
  for (const bytes of [
    archive,
    Bun.gzipSync(Buffer.from(archive)),
    Bun.zstdCompressSync(archive),
  ]) {
    expect(await load(bytes)).toEqual({ ids: [id], said: ["Loaded image: app:1\n"] });
  }
  expect(fake.images.get("app:1").chainId).toBe(
    digestOf(`${digestOf(layers[0]!)} ${digestOf(layers[1]!)}`),
  );
  expect([...fake.content.walk()]).toHaveLength(2);
  expect(readdirSync(join(fake.root, "content/ingest"))).toEqual([]);
});

test("an image without a name says its id; a name that moves says so", async () => {
  const [one, two] = [[layer("one")], [layer("two")]];
  const id = digestOf(configOf(one));
  expect((await load(tar(...dockerItems(one, null)))).said).toEqual([`Loaded image ID: ${id}\n`]);
  await load(tar(...dockerItems(one)));
  expect((await load(tar(...dockerItems(two)))).said).toEqual([
    `The image app:1 already exists, renaming the old one with ID ${id} to empty string\n`,
    "Loaded image: app:1\n",
  ]);
});

test("layers may be compressed, and may be links to each other", async () => {
  const plain = layer("one");
  const gzip = Bun.gzipSync(Buffer.from(plain));
  const config = configOf([plain, plain]);
  const { ids } = await load(
    tar(
      { name: "./", type: "directory" },
      { name: "b/layer.tar", type: "symlink", link: "../a/layer.tar" },
      { name: "a/layer.tar", content: gzip },
      { name: "c.json", content: config },
      {
        name: "manifest.json",
        content: JSON.stringify([
          { Config: "c.json", RepoTags: null, Layers: ["a/layer.tar", "b/layer.tar"] },
        ]),
      },
    ),
  );
  expect(ids).toEqual([digestOf(config)]);
  expect(fake.dependencies.rows.layerBlobs(digestOf(plain))[0]?.digest).toBe(digestOf(gzip));
});

const blob = (content: string | Uint8Array): Item => ({
  name: `blobs/sha256/${hexOf(digestOf(content))}`,
  content,
});
const describe = (mediaType: string, content: string | Uint8Array): object => ({
  mediaType,
  digest: digestOf(content),
  size: Buffer.from(content as string).length,
});

const ociImage = (
  name: string,
  architecture: string,
): { items: Item[]; config: string; manifest: string } => {
  const content = layer(name);
  const config = configOf([content], architecture);
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: describe(OCI_CONFIG, config),
    layers: [describe(OCI_LAYER, content)],
  });
  return { items: [blob(content), blob(config), blob(manifest)], config, manifest };
};

const layout = (manifests: object[]): Item[] => [
  { name: "oci-layout", content: '{"imageLayoutVersion":"1.0.0"}' },
  { name: "index.json", content: JSON.stringify({ schemaVersion: 2, manifests }) },
];

test("an OCI layout with an index picks the platform", async () => {
  const [amd, arm] = [ociImage("amd", "amd64"), ociImage("arm", "arm64")];
  const index = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [
      { ...describe(OCI_MANIFEST, amd.manifest), platform: { os: "linux", architecture: "amd64" } },
      { ...describe(OCI_MANIFEST, arm.manifest), platform: { os: "linux", architecture: "arm64" } },
      { ...describe(OCI_MANIFEST, "absent"), platform: { os: "linux", architecture: "s390x" } },
      {
        ...describe(OCI_MANIFEST, "attestation"),
        platform: { os: "unknown", architecture: "unknown" },
      },
    ],
  });
  const annotations = {
    "io.containerd.image.name": "docker.io/library/app:2",
    "org.opencontainers.image.ref.name": "2",
  };
  const archive = tar(
    ...amd.items,
    ...arm.items,
    blob(index),
    ...layout([{ ...describe(OCI_INDEX, index), annotations }]),
  );
  expect((await load(archive, "linux/amd64")).ids).toEqual([digestOf(amd.config)]);
  expect(fake.images.get("app:2").manifestDigest).toBe(digestOf(amd.manifest));
  expect((await load(archive, "linux/arm64")).ids).toEqual([digestOf(arm.config)]);
  expect(await failureOf(load(archive, "linux/riscv64"))).toContain(
    'nothing for platform "linux/riscv64"',
  );
});

test("a layout's bare tag is no name", async () => {
  const image = ociImage("x", "amd64");
  const annotations = { "org.opencontainers.image.ref.name": "latest" };
  const { said } = await load(
    tar(...image.items, ...layout([{ ...describe(OCI_MANIFEST, image.manifest), annotations }])),
  );
  expect(said).toEqual([`Loaded image ID: ${digestOf(image.config)}\n`]);
});

const one = layer("one");
const HOSTILE: [what: string, archive: () => Uint8Array, message: RegExp][] = [
  ["nothing", () => new Uint8Array(0), /neither "manifest.json" nor/],
  ["garbage", () => Buffer.from("not a tar at all".repeat(100)), /tar entry/],
  ["truncated", () => tar(...dockerItems([one])).subarray(0, 1800), /cut short/],
  [
    "truncated gzip",
    () => Bun.gzipSync(Buffer.from(tar(...dockerItems([one])))).subarray(0, 120),
    /damaged/,
  ],
  [
    "a path outside",
    () => tar({ name: "../x", content: "y" }, ...dockerItems([one])),
    /invalid path/,
  ],
  [
    "an absolute path",
    () => tar({ name: "/etc/x", content: "y" }, ...dockerItems([one])),
    /invalid path/,
  ],
  [
    "a link outside",
    () => tar({ name: "a/l", type: "symlink", link: "../../x" }, ...dockerItems([one])),
    /leads out/,
  ],
  [
    "a link to itself",
    () =>
      tar({ name: "config.json", type: "symlink", link: "config.json" }, dockerItems([one])[2]!),
    /"config.json" is missing/,
  ],
  [
    "a device",
    () => tar({ name: "dev", type: "character device" }, ...dockerItems([one])),
    /is a character device/,
  ],
  ["a missing layer", () => tar(...dockerItems([one]).slice(1)), /"layer0\/layer.tar" is missing/],
  [
    "a missing config",
    () => tar(dockerItems([one])[0]!, dockerItems([one])[2]!),
    /"config.json" is missing/,
  ],
  [
    "a wrong layer",
    () => tar({ name: "layer0/layer.tar", content: layer("two") }, ...dockerItems([one]).slice(1)),
    /has the sum/,
  ],
  [
    "a wrong number of layers",
    () =>
      tar(
        ...dockerItems([one]).slice(0, 1),
        { name: "config.json", content: configOf([]) },
        dockerItems([one])[2]!,
      ),
    /names 0 layers/,
  ],
  [
    "a wrong blob",
    () => tar({ ...blob("a{"), content: "other" }, ...dockerItems([one])),
    /damaged or was changed/,
  ],
  ["a bad name", () => tar(...dockerItems([one], ["Bad"])), /must be lowercase/],
  ["a broken manifest", () => tar({ name: "manifest.json", content: "[{" }), /not JSON/],
  ["no image", () => tar({ name: "manifest.json", content: "[]" }), /holds no image/],
  [
    "a config that is none",
    () =>
      tar(
        dockerItems([one])[0]!,
        { name: "config.json", content: '{"rootfs":1}' },
        dockerItems([one])[2]!,
      ),
    /rootfs/,
  ],
  ["a container export", () => tar({ name: "etc/passwd", content: "root" }), /Then use import/],
];
for (const [what, archive, message] of HOSTILE) {
  test(`refused, nothing left: ${what}`, async () => {
    expect(await failureOf(load(archive()))).toMatch(message);
    expectNothingLeft();
  });
}

test("a second image that fails takes the first along", async () => {
  const good = dockerItems([one]);
  const archive = tar(
    ...good.slice(0, 2),
    { name: "two.json", content: configOf([layer("two")]) },
    {
      name: "manifest.json",
      content: JSON.stringify([
        { Config: "config.json", RepoTags: ["a:1"], Layers: ["layer0/layer.tar"] },
        { Config: "two.json", RepoTags: ["b:1"], Layers: ["layer0/layer.tar"] },
      ]),
    },
  );
  expect(await failureOf(load(archive))).toContain("has the sum");
  expectNothingLeft();
});

test("aborted, nothing left", async () => {
  const stop = new AbortController();
  const slow = async function* (): AsyncGenerator<Uint8Array, void> {
    yield tar(...dockerItems([one])).subarray(0, 1024);
    stop.abort();
    await Bun.sleep(10);
    yield new Uint8Array(512);
  };
  expect(await failureOf(fake.images.load(slow(), { signal: stop.signal }))).toContain("abort");
  expectNothingLeft();
});

test("a client that breaks off, nothing left", async () => {
  const broken = async function* (): AsyncGenerator<Uint8Array, void> {
    yield tar(...dockerItems([one])).subarray(0, 1024);
    throw new Error("connection lost");
  };
  expect(
    await failureOf(fake.images.load(broken(), { signal: new AbortController().signal })),
  ).toContain("connection lost");
  expectNothingLeft();
});

test("what the store had when the archive came stays for the load, even if its image goes meanwhile", async () => {
  const image = ociImage("x", "amd64");
  const annotations = { "io.containerd.image.name": "docker.io/library/app:1" };
  const archive = tar(
    ...image.items,
    ...layout([{ ...describe(OCI_MANIFEST, image.manifest), annotations }]),
  );
  await load(archive);
  const seen = Promise.withResolvers<void>();
  const layerEnd = archive.length - 4096;
  const inTwoParts = async function* (): AsyncGenerator<Uint8Array, void> {
    yield archive.subarray(0, layerEnd);
    await seen.promise;
    await fake.images.remove("app:1", { isForced: false, isParentKept: false });
    expect([...fake.content.walk()]).toEqual([]);
    yield archive.subarray(layerEnd);
  };
  const ids = await fake.images.load(inTwoParts(), {
    signal: new AbortController().signal,
    onEvent: ({ kind }) => {
      if (kind === "progress") seen.resolve();
    },
  });
  expect(ids).toEqual([digestOf(image.config)]);
  expect(fake.images.get("app:1").id).toBe(digestOf(image.config));
});
