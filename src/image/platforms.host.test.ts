/** Several platforms of one image in the store: pulled beside each other, shown, removed; against a registry of tests. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { layer, source } from "#image/archive.fake.ts";
import { type FakeImages, createFakeImages, failureOf } from "#image/images.fake.ts";
import { type FakeRegistry, startRegistry } from "#remote/registry.fake.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import { OCI_MANIFEST } from "#spec/image/media-type.ts";
import { formatPlatform, parsePlatform } from "#spec/image/platform.ts";

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
const SHARED = zipped(layer("shared"));
const OTHER = "linux/s390x";
const HOST = `linux/${process.arch === "x64" ? "amd64" : process.arch}`;

interface Published {
  readonly index: Digest;
  readonly host: Digest;
  readonly other: Digest;
}

/** The host's platform, one more with an attestation, Windows, and one that is nowhere asked for. */
const publish = (name = "1"): Published => {
  const image = (platform: string): Digest => {
    const { os, architecture } = parsePlatform(platform);
    const layers = [SHARED, zipped(layer(`${name} ${platform}`))];
    return registry.addImage(`x-${architecture}`, layers, { architecture, os });
  };
  const entry = (digest: Digest, platform: string) => ({
    digest,
    platform: parsePlatform(platform),
  });
  const [host, other] = [image(HOST), image(OTHER)];
  const attestation = registry.addArtifact("att", ["{}", `provenance of ${name}`]);
  const index = registry.addIndex(name, [
    entry(other, OTHER),
    entry(host, HOST),
    entry(registry.addArtifact("win", ["{}", "C:"]), "windows/amd64"),
    {
      digest: attestation,
      platform: { os: "unknown", architecture: "unknown" },
      annotations: {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": host,
      },
    },
  ]);
  return { index, host, other };
};

const nameOf = (tag = "1"): string => `${registry.host}/a/b:${tag}`;
const pull = async (
  options: { platform?: string; isAllPlatforms?: boolean } = {},
  name = nameOf(),
): Promise<string[]> => {
  const words: string[] = [];
  const { platform, isAllPlatforms = false } = options;
  await fake.images.pull(name, {
    credentials: {},
    isAllTags: false,
    isAllPlatforms,
    signal: new AbortController().signal,
    onEvent: ({ status }) => void words.push(status),
    ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
  });
  return words;
};
const rm = (name: string, platforms: string[] = [], isForced = false) =>
  fake.images.remove(name, {
    isForced,
    isParentKept: false,
    platforms: platforms.map(parsePlatform),
  });
const shown = () =>
  fake.images.list({ isAll: true, filters: new Map(), hasManifests: true, hasSharedSize: true });
const present = (): string[] =>
  (shown()[0]?.Manifests ?? []).map(
    ({ Kind, Available }) => `${Kind}${Available ? "" : " absent"}`,
  );
const expectNothingLeft = (): void => {
  expect([...fake.content.walk()]).toEqual([]);
  expect(fake.dependencies.layers.layers()).toEqual([]);
  expect([...fake.dependencies.rows.list()]).toEqual([]);
  expect(fake.dependencies.rows.manifests.digests()).toEqual([]);
  expect(readdirSync(join(fake.root, "content/partial"))).toEqual([]);
};

test("a second platform comes beside the first, and the machine's own is the one without a wish", async () => {
  const { index } = publish();
  await pull({ platform: OTHER });
  expect(formatPlatform(fake.images.get(nameOf()).platform)).toBe(OTHER);
  expect(present()).toEqual(["image", "image absent", "image absent", "attestation absent"]);
  expect((await pull()).at(-1)).toContain("Downloaded newer image");
  expect(formatPlatform(fake.images.get(nameOf()).platform)).toBe(HOST);
  expect(formatPlatform(fake.images.get(nameOf(), parsePlatform(OTHER)).platform)).toBe(OTHER);
  expect(present()).toEqual(["image", "image", "image absent", "attestation absent"]);
  const [summary, ...more] = shown();
  expect(more).toEqual([]);
  expect(summary?.RepoTags).toEqual([nameOf()]);
  expect(summary?.RepoDigests).toEqual([`${registry.host}/a/b@${index}`]);
  expect(summary?.Descriptor?.["digest"]).toBe(index);
  // The layer that both stand on is counted once.
  const sizeBytes = ["shared", `1 ${HOST}`, `1 ${OTHER}`].join("").length;
  expect(summary?.Size).toBe(sizeBytes);
  expect(fake.images.usage().layersBytes).toBe(sizeBytes);
  expect(summary?.SharedSize).toBe(0);
  expect(() => fake.images.get(nameOf(), parsePlatform("linux/riscv64"))).toThrow(
    `does not provide the specified platform (linux/riscv64): it is for ${OTHER}, ${HOST}`,
  );
});

test("what is here is not fetched again; the platform that is asked for is what counts", async () => {
  publish();
  await pull();
  for (const [platform, verbs] of [
    [undefined, ["HEAD"]],
    [HOST, ["HEAD"]],
  ] as const) {
    const before = registry.log.length;
    expect((await pull(platform === undefined ? {} : { platform })).at(-1)).toContain("up to date");
    expect(registry.log.slice(before).map((line) => line.split(" ")[0])).toEqual([...verbs]);
  }
  expect(await failureOf(pull({ platform: "linux/riscv64" }))).toContain("no matching manifest");
  expect((await pull({ platform: OTHER })).join()).toContain("Pull complete");
  const before = registry.log.length;
  expect((await pull({ platform: OTHER })).at(-1)).toContain("up to date");
  expect(registry.log.slice(before)).toHaveLength(1);
});

test("another tag of the same index stands for all that is here", async () => {
  publish();
  await pull({ isAllPlatforms: true });
  registry.manifests.set("2", registry.manifests.get("1")!);
  const words = await pull({}, nameOf("2"));
  expect(words.at(-1)).toContain("Downloaded newer image");
  expect(fake.images.get(nameOf("2"), parsePlatform(OTHER)).repoTags).toEqual([
    nameOf(),
    nameOf("2"),
  ]);
  fake.images.tag(nameOf(), "local:3");
  await rm(nameOf());
  await rm(nameOf("2"));
  expect(fake.images.inspect("local:3", { platform: parsePlatform(OTHER) }).RepoTags).toEqual([
    "local:3",
  ]);
  expect(present()).toEqual(["image", "image", "unknown", "attestation"]);
  await rm("local:3");
  expectNothingLeft();
});

test("all platforms: attestations and other systems are kept as they come", async () => {
  const { host } = publish();
  await pull({ isAllPlatforms: true });
  const manifests = fake.images.inspect(nameOf(), { hasManifests: true }).Manifests!;
  expect(manifests.map(({ Kind, Available }) => [Kind, Available])).toEqual([
    ["image", true],
    ["image", true],
    ["unknown", true],
    ["attestation", true],
  ]);
  expect(manifests[3]?.AttestationData).toEqual({ For: host });
  expect(manifests[3]?.Size.Content).toBe(
    registry.manifests.get(manifests[3]!.ID)!.text.length + "{}".length + "provenance of 1".length,
  );
  expect(manifests[0]?.ImageData?.Platform).toEqual({ os: "linux", architecture: "s390x" });
  expect(manifests[0]?.ImageData?.Size.Unpacked).toBe(`shared1 ${OTHER}`.length);
  expect((await pull({ isAllPlatforms: true })).at(-1)).toContain("up to date");
  await fake.images.collect();
  expect(present()).toEqual(["image", "image", "unknown", "attestation"]);
  await rm(nameOf());
  expectNothingLeft();
});

test("a failure among all platforms leaves nothing visible", async () => {
  publish();
  registry.manifests.delete("att");
  const attestation = JSON.parse(registry.manifests.get("1")!.text).manifests[3].digest as string;
  const { layers } = JSON.parse(registry.manifests.get(attestation)!.text) as {
    layers: { digest: string }[];
  };
  registry.blobs.delete(layers[0]!.digest);
  await failureOf(pull({ isAllPlatforms: true }));
  expect(shown()).toEqual([]);
  expect(fake.dependencies.rows.manifests.digests()).toEqual([]);
  expect(fake.dependencies.layers.layers()).toEqual([]);
});

test("rmi --platform takes one away, in use not; the last takes the name", async () => {
  publish();
  await pull({ isAllPlatforms: true });
  const main = fake.images.resolve(nameOf());
  const other = fake.images.get(nameOf(), parsePlatform(OTHER)).id;
  expect(await failureOf(rm(nameOf(), ["linux/riscv64"]))).toContain(
    `image with reference ${nameOf()} was found but does not provide the specified platform (linux/riscv64)`,
  );
  fake.containers.set(other, [{ id: "c".repeat(64), isRunning: false }]);
  expect(await failureOf(rm(nameOf(), [OTHER]))).toContain("stopped container cccccccccccc");
  expect(await failureOf(rm(nameOf()))).toContain("container cccccccccccc is using");
  fake.containers.clear();
  const items = await rm(nameOf(), [HOST]);
  expect(items).toContainEqual({ Deleted: main });
  expect(items.some((item) => "Untagged" in item)).toBe(false);
  expect(fake.images.resolve(nameOf())).toBe(other);
  // Its attestation went with it.
  expect(present()).toEqual(["image", "image absent", "unknown", "attestation absent"]);
  await pull();
  expect(fake.images.resolve(nameOf())).toBe(main);
  expect(await rm(nameOf(), [HOST, OTHER])).toContainEqual({ Untagged: nameOf() });
  expectNothingLeft();
});

test("by id: a part goes alone, the main image with all", async () => {
  publish();
  await pull({ isAllPlatforms: true });
  await rm(fake.images.get(nameOf(), parsePlatform(OTHER)).id);
  expect(present()[0]).toBe("image absent");
  await pull({ platform: OTHER });
  await rm(fake.images.resolve(nameOf()));
  expectNothingLeft();
});

test("a platform with a name of its own outlives the index", async () => {
  const { other } = publish();
  await pull({ isAllPlatforms: true });
  await pull({}, `${registry.host}/a/b@${other}`);
  expect(await failureOf(rm(nameOf(), [OTHER]))).toContain("it has another name");
  await rm(nameOf());
  expect(shown().map(({ RepoDigests }) => RepoDigests)).toEqual([
    [`${registry.host}/a/b@${other}`],
  ]);
  await rm(`${registry.host}/a/b@${other}`);
  expectNothingLeft();
});

test("prune leaves parts alone, and takes them with the image that moved on", async () => {
  publish();
  await pull({ isAllPlatforms: true });
  await fake.images.prune(new Map());
  expect(present()).toEqual(["image", "image", "unknown", "attestation"]);
  await fake.images.prune(new Map([["dangling", ["false"]]]));
  expectNothingLeft();
});

const push = async (
  name: string,
  platform?: string,
): Promise<{ words: string[]; auxes: Record<string, unknown>[] }> => {
  const words: string[] = [];
  const auxes: Record<string, unknown>[] = [];
  await fake.images.push(name, {
    credentials: {},
    isAllTags: false,
    signal: new AbortController().signal,
    onEvent: ({ status, aux }) => {
      words.push(status);
      if (aux !== undefined) auxes.push(aux as Record<string, unknown>);
    },
    ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
  });
  return { words, auxes };
};

test("push: the whole index where all is here, word for word", async () => {
  using target = startRegistry();
  const { index } = publish();
  await pull({ isAllPlatforms: true });
  fake.images.tag(nameOf(), `${target.host}/c/d:2`);
  const { auxes } = await push(`${target.host}/c/d:2`);
  expect(auxes).toEqual([
    { Tag: "2", Digest: index, Size: registry.manifests.get("1")!.text.length },
  ]);
  expect(target.manifests.get("2")).toEqual(registry.manifests.get("1")!);
  for (const digest of registry.manifests.keys()) {
    if (digest.startsWith("sha256:")) expect(target.manifests.has(digest)).toBe(true);
  }
  expect([...target.blobs.keys()].toSorted()).toEqual([...registry.blobs.keys()].toSorted());
  expect(fake.images.get(`${target.host}/c/d:2`).repoDigests).toContain(
    `${target.host}/c/d@${index}`,
  );
});

test("push: what is here where that is not all, or what is asked for, in Docker's words", async () => {
  using target = startRegistry();
  const { index, host, other } = publish();
  await pull();
  const name = `${target.host}/c/d:2`;
  fake.images.tag(nameOf(), name);
  const { auxes } = await push(name);
  expect(auxes[0]).toMatchObject({
    manifestPushedInsteadOfIndex: true,
    originalIndex: { digest: index },
    selectedManifest: { digest: host },
  });
  expect(digestOf(target.manifests.get("2")!.text)).toBe(host);
  expect(await failureOf(push(name, OTHER))).toContain(
    `does not provide the specified platform (${OTHER})`,
  );
  await pull({ platform: OTHER });
  await push(name, OTHER);
  expect(digestOf(target.manifests.get("2")!.text)).toBe(other);
  // Of several, the machine's own.
  await push(name);
  expect(digestOf(target.manifests.get("2")!.text)).toBe(host);
});

test("push: an index that was made here, whose layers are compressed on the way", async () => {
  using target = startRegistry();
  const { images } = fake;
  const signal = new AbortController().signal;
  const ids = [await fake.add("one"), await fake.add("two")];
  const name = `${target.host}/c/d:2`;
  const members = ids.map((image, at) => ({
    image,
    platform: parsePlatform(at === 0 ? HOST : OTHER),
  }));
  const attestation = {
    manifest: JSON.stringify({
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: "application/json", digest: digestOf("{}"), size: 2 },
      layers: [],
    }),
    blobs: ["{}"],
    annotations: {
      "vnd.docker.reference.type": "attestation-manifest",
      "vnd.docker.reference.digest": (await images.manifestOf(ids[0]!, signal)).digest,
    },
  };
  const made = await images.createIndex(
    { members: [...members, attestation], references: [name] },
    signal,
  );
  await push(name);
  const { text } = target.manifests.get("2")!;
  expect(digestOf(text)).not.toBe(made.digest);
  const { manifests } = JSON.parse(text) as {
    manifests: { digest: string; size: number; annotations?: Record<string, string> }[];
  };
  for (const { digest, size } of manifests) {
    expect(target.manifests.get(digest)!.text.length).toBe(size);
  }
  expect(manifests[2]?.annotations?.["vnd.docker.reference.digest"]).toBe(manifests[0]!.digest);
  expect(images.inspect(name).Descriptor?.["digest"]).toBe(digestOf(text));
  expect(fake.dependencies.rows.manifests.has(made.digest)).toBe(false);
  const before = target.log.length;
  await push(name);
  expect(target.log.slice(before).filter((line) => line.startsWith("PATCH"))).toEqual([]);
  expect(target.manifests.get("2")!.text).toBe(text);
});

const save = async (names: string[], platforms: string[] = []): Promise<Uint8Array> => {
  const signal = new AbortController().signal;
  using saved = await fake.images.save(names, signal, platforms.map(parsePlatform));
  const bytes = await new Response(saved.stream(signal)).bytes();
  expect(bytes.length).toBe(saved.sizeBytes);
  return bytes;
};

test("save and load: all platforms that are here, with what was kept, word for word", async () => {
  const { index } = publish();
  await pull({ isAllPlatforms: true });
  const ids = [HOST, OTHER].map((one) => fake.images.get(nameOf(), parsePlatform(one)).id);
  const archive = await save([nameOf()]);
  expect(await save([nameOf()])).toEqual(archive);
  await rm(nameOf());
  const signal = new AbortController().signal;
  expect(await fake.images.load(source(archive), { signal })).toEqual([ids[0]!]);
  expect(present()).toEqual(["image", "image", "unknown", "attestation"]);
  expect(fake.images.get(nameOf(), parsePlatform(OTHER)).id).toBe(ids[1]!);
  expect(fake.images.inspect(nameOf()).Descriptor?.["digest"]).toBe(index);
  await rm(nameOf());
  expectNothingLeft();
  expect(
    await fake.images.load(source(archive), { signal, platform: parsePlatform(OTHER) }),
  ).toEqual([ids[1]!]);
  expect(present()).toEqual(["image", "image absent", "image absent", "attestation absent"]);
  await rm(nameOf());
  expectNothingLeft();
});

test("save of one platform, of several, of one that is not here", async () => {
  publish();
  await pull({ isAllPlatforms: true });
  const signal = new AbortController().signal;
  const other = fake.images.get(nameOf(), parsePlatform(OTHER)).id;
  const [one, both] = [await save([nameOf()], [OTHER]), await save([nameOf()], [HOST, OTHER])];
  expect(await failureOf(save([nameOf()], ["linux/riscv64"]))).toContain("linux/riscv64");
  await rm(nameOf());
  expect(await fake.images.load(source(one), { signal })).toEqual([other]);
  expect(present()).toEqual([]);
  await rm(nameOf());
  await fake.images.load(source(both), { signal });
  expect(present()).toEqual(["image", "image", "image absent", "attestation absent"]);
  await rm(nameOf());
  expectNothingLeft();
});

test("served to other machines: all that is here, and only that", async () => {
  const { index, host, other } = publish();
  await pull();
  const signal = new AbortController().signal;
  const one = await fake.images.servedIndex(nameOf(), signal);
  expect([one.answer, one.only?.manifest.digest]).toEqual([undefined, host]);
  await pull({ platform: OTHER });
  const two = await fake.images.servedIndex(nameOf(), signal);
  const listed = JSON.parse(two.answer!.text) as { manifests: { digest: string }[] };
  expect(listed.manifests.map(({ digest }) => digest)).toEqual([other, host]);
  await pull({ isAllPlatforms: true });
  const all = await fake.images.servedIndex(nameOf(), signal);
  expect(all.answer?.digest).toBe(index);
  expect(all.images.map(({ manifest }) => manifest.digest)).toEqual([other, host]);
  expect(all.documents).toHaveLength(4);
  expect(all.blobs).toHaveLength(4);
});
