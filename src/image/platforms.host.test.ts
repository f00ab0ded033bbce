/** Several platforms of one image in the store: pulled beside each other, shown, removed; against a registry of tests. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { source } from "#image/archive.fake.ts";
import { failureOf } from "#image/images.fake.ts";
import { HOST, OTHER, openPlatforms, type Platforms } from "#image/platforms.fake.ts";
import { formatPlatform, parsePlatform } from "#spec/image/platform.ts";

let at: Platforms;
beforeEach(() => {
  at = openPlatforms();
});
afterEach(() => at[Symbol.dispose]());

test("a second platform comes beside the first, and the machine's own is the one without a wish", async () => {
  const { index } = at.publish();
  await at.pull({ platform: OTHER });
  expect(formatPlatform(at.fake.images.get(at.nameOf()).platform)).toBe(OTHER);
  expect(at.present()).toEqual(["image", "image absent", "image absent", "attestation absent"]);
  expect((await at.pull()).at(-1)).toContain("Downloaded newer image");
  expect(formatPlatform(at.fake.images.get(at.nameOf()).platform)).toBe(HOST);
  expect(formatPlatform(at.fake.images.get(at.nameOf(), parsePlatform(OTHER)).platform)).toBe(
    OTHER,
  );
  expect(at.present()).toEqual(["image", "image", "image absent", "attestation absent"]);
  const [summary, ...more] = at.shown();
  expect(more).toEqual([]);
  expect(summary?.RepoTags).toEqual([at.nameOf()]);
  expect(summary?.RepoDigests).toEqual([`${at.registry.host}/a/b@${index}`]);
  expect(summary?.Descriptor?.["digest"]).toBe(index);
  // The layer that both stand on is counted once.
  const sizeBytes = ["shared", `1 ${HOST}`, `1 ${OTHER}`].join("").length;
  expect(summary?.Size).toBe(sizeBytes);
  expect(at.fake.images.usage().layersBytes).toBe(sizeBytes);
  expect(summary?.SharedSize).toBe(0);
  expect(() => at.fake.images.get(at.nameOf(), parsePlatform("linux/riscv64"))).toThrow(
    `does not provide the specified platform (linux/riscv64): it is for ${OTHER}, ${HOST}`,
  );
});

test("what is here is not fetched again; the platform that is asked for is what counts", async () => {
  at.publish();
  await at.pull();
  for (const [platform, verbs] of [
    [undefined, ["HEAD"]],
    [HOST, ["HEAD"]],
  ] as const) {
    const before = at.registry.log.length;
    expect((await at.pull(platform === undefined ? {} : { platform })).at(-1)).toContain(
      "up to date",
    );
    expect(at.registry.log.slice(before).map((line) => line.split(" ")[0])).toEqual([...verbs]);
  }
  expect(await failureOf(at.pull({ platform: "linux/riscv64" }))).toContain("no matching manifest");
  expect((await at.pull({ platform: OTHER })).join()).toContain("Pull complete");
  const before = at.registry.log.length;
  expect((await at.pull({ platform: OTHER })).at(-1)).toContain("up to date");
  expect(at.registry.log.slice(before)).toHaveLength(1);
});

test("another tag of the same index stands for all that is here", async () => {
  at.publish();
  await at.pull({ isAllPlatforms: true });
  at.registry.manifests.set("2", at.registry.manifests.get("1")!);
  const words = await at.pull({}, at.nameOf("2"));
  expect(words.at(-1)).toContain("Downloaded newer image");
  expect(at.fake.images.get(at.nameOf("2"), parsePlatform(OTHER)).repoTags).toEqual([
    at.nameOf(),
    at.nameOf("2"),
  ]);
  at.fake.images.tag(at.nameOf(), "local:3");
  await at.rm(at.nameOf());
  await at.rm(at.nameOf("2"));
  expect(at.fake.images.inspect("local:3", { platform: parsePlatform(OTHER) }).RepoTags).toEqual([
    "local:3",
  ]);
  expect(at.present()).toEqual(["image", "image", "unknown", "attestation"]);
  await at.rm("local:3");
  at.expectNothingLeft();
});

test("all platforms: attestations and other systems are kept as they come", async () => {
  const { host } = at.publish();
  await at.pull({ isAllPlatforms: true });
  const manifests = at.fake.images.inspect(at.nameOf(), { hasManifests: true }).Manifests!;
  expect(manifests.map(({ Kind, Available }) => [Kind, Available])).toEqual([
    ["image", true],
    ["image", true],
    ["unknown", true],
    ["attestation", true],
  ]);
  expect(manifests[3]?.AttestationData).toEqual({ For: host });
  expect(manifests[3]?.Size.Content).toBe(
    at.registry.manifests.get(manifests[3]!.ID)!.text.length +
      "{}".length +
      "provenance of 1".length,
  );
  expect(manifests[0]?.ImageData?.Platform).toEqual({ os: "linux", architecture: "s390x" });
  expect(manifests[0]?.ImageData?.Size.Unpacked).toBe(`shared1 ${OTHER}`.length);
  expect((await at.pull({ isAllPlatforms: true })).at(-1)).toContain("up to date");
  await at.fake.images.collect();
  expect(at.present()).toEqual(["image", "image", "unknown", "attestation"]);
  await at.rm(at.nameOf());
  at.expectNothingLeft();
});

test("a failure among all platforms leaves nothing visible", async () => {
  at.publish();
  at.registry.manifests.delete("att");
  const attestation = JSON.parse(at.registry.manifests.get("1")!.text).manifests[3]
    .digest as string;
  const { layers } = JSON.parse(at.registry.manifests.get(attestation)!.text) as {
    layers: { digest: string }[];
  };
  at.registry.blobs.delete(layers[0]!.digest);
  await failureOf(at.pull({ isAllPlatforms: true }));
  expect(at.shown()).toEqual([]);
  expect(at.fake.dependencies.rows.manifests.digests()).toEqual([]);
  expect(at.fake.dependencies.layers.layers()).toEqual([]);
});

test("rmi --platform takes one away, in use not; the last takes the name", async () => {
  at.publish();
  await at.pull({ isAllPlatforms: true });
  const main = at.fake.images.resolve(at.nameOf());
  const other = at.fake.images.get(at.nameOf(), parsePlatform(OTHER)).id;
  expect(await failureOf(at.rm(at.nameOf(), ["linux/riscv64"]))).toContain(
    `image with reference ${at.nameOf()} was found but does not provide the specified platform (linux/riscv64)`,
  );
  at.fake.containers.set(other, [{ id: "c".repeat(64), isRunning: false }]);
  expect(await failureOf(at.rm(at.nameOf(), [OTHER]))).toContain("stopped container cccccccccccc");
  expect(await failureOf(at.rm(at.nameOf()))).toContain("container cccccccccccc is using");
  at.fake.containers.clear();
  const items = await at.rm(at.nameOf(), [HOST]);
  expect(items).toContainEqual({ Deleted: main });
  expect(items.some((item) => "Untagged" in item)).toBe(false);
  expect(at.fake.images.resolve(at.nameOf())).toBe(other);
  // Its attestation went with it.
  expect(at.present()).toEqual(["image", "image absent", "unknown", "attestation absent"]);
  await at.pull();
  expect(at.fake.images.resolve(at.nameOf())).toBe(main);
  expect(await at.rm(at.nameOf(), [HOST, OTHER])).toContainEqual({ Untagged: at.nameOf() });
  at.expectNothingLeft();
});

test("by id: a part goes alone, the main image with all", async () => {
  at.publish();
  await at.pull({ isAllPlatforms: true });
  await at.rm(at.fake.images.get(at.nameOf(), parsePlatform(OTHER)).id);
  expect(at.present()[0]).toBe("image absent");
  await at.pull({ platform: OTHER });
  await at.rm(at.fake.images.resolve(at.nameOf()));
  at.expectNothingLeft();
});

test("a platform with a name of its own outlives the index", async () => {
  const { other } = at.publish();
  await at.pull({ isAllPlatforms: true });
  await at.pull({}, `${at.registry.host}/a/b@${other}`);
  expect(await failureOf(at.rm(at.nameOf(), [OTHER]))).toContain("it has another name");
  await at.rm(at.nameOf());
  expect(at.shown().map(({ RepoDigests }) => RepoDigests)).toEqual([
    [`${at.registry.host}/a/b@${other}`],
  ]);
  await at.rm(`${at.registry.host}/a/b@${other}`);
  at.expectNothingLeft();
});

test("prune leaves parts alone, and takes them with the image that moved on", async () => {
  at.publish();
  await at.pull({ isAllPlatforms: true });
  await at.fake.images.prune(new Map());
  expect(at.present()).toEqual(["image", "image", "unknown", "attestation"]);
  await at.fake.images.prune(new Map([["dangling", ["false"]]]));
  at.expectNothingLeft();
});

const save = async (names: string[], platforms: string[] = []): Promise<Uint8Array> => {
  const signal = new AbortController().signal;
  using saved = await at.fake.images.save(names, signal, platforms.map(parsePlatform));
  const bytes = await new Response(saved.stream(signal)).bytes();
  expect(bytes.length).toBe(saved.sizeBytes);
  return bytes;
};

test("save and load: all platforms that are here, with what was kept, word for word", async () => {
  const { index } = at.publish();
  await at.pull({ isAllPlatforms: true });
  const ids = [HOST, OTHER].map((one) => at.fake.images.get(at.nameOf(), parsePlatform(one)).id);
  const archive = await save([at.nameOf()]);
  expect(await save([at.nameOf()])).toEqual(archive);
  await at.rm(at.nameOf());
  const signal = new AbortController().signal;
  expect(await at.fake.images.load(source(archive), { signal })).toEqual([ids[0]!]);
  expect(at.present()).toEqual(["image", "image", "unknown", "attestation"]);
  expect(at.fake.images.get(at.nameOf(), parsePlatform(OTHER)).id).toBe(ids[1]!);
  expect(at.fake.images.inspect(at.nameOf()).Descriptor?.["digest"]).toBe(index);
  await at.rm(at.nameOf());
  at.expectNothingLeft();
  expect(
    await at.fake.images.load(source(archive), { signal, platform: parsePlatform(OTHER) }),
  ).toEqual([ids[1]!]);
  expect(at.present()).toEqual(["image", "image absent", "image absent", "attestation absent"]);
  await at.rm(at.nameOf());
  at.expectNothingLeft();
});

test("save of one platform, of several, of one that is not here", async () => {
  at.publish();
  await at.pull({ isAllPlatforms: true });
  const signal = new AbortController().signal;
  const other = at.fake.images.get(at.nameOf(), parsePlatform(OTHER)).id;
  const [one, both] = [
    await save([at.nameOf()], [OTHER]),
    await save([at.nameOf()], [HOST, OTHER]),
  ];
  expect(await failureOf(save([at.nameOf()], ["linux/riscv64"]))).toContain("linux/riscv64");
  await at.rm(at.nameOf());
  expect(await at.fake.images.load(source(one), { signal })).toEqual([other]);
  expect(at.present()).toEqual(["image"]);
  await at.rm(at.nameOf());
  await at.fake.images.load(source(both), { signal });
  expect(at.present()).toEqual(["image", "image", "image absent", "attestation absent"]);
  await at.rm(at.nameOf());
  at.expectNothingLeft();
});

test("served to other machines: all that is here, and only that", async () => {
  const { index, host, other } = at.publish();
  await at.pull();
  const signal = new AbortController().signal;
  const one = await at.fake.images.servedIndex(at.nameOf(), signal);
  expect([one.answer, one.only?.manifest.digest]).toEqual([undefined, host]);
  await at.pull({ platform: OTHER });
  const two = await at.fake.images.servedIndex(at.nameOf(), signal);
  const listed = JSON.parse(two.answer!.text) as { manifests: { digest: string }[] };
  expect(listed.manifests.map(({ digest }) => digest)).toEqual([other, host]);
  await at.pull({ isAllPlatforms: true });
  const all = await at.fake.images.servedIndex(at.nameOf(), signal);
  expect(all.answer?.digest).toBe(index);
  expect(all.images.map(({ manifest }) => manifest.digest)).toEqual([other, host]);
  expect(all.documents).toHaveLength(4);
  expect(all.blobs).toHaveLength(4);
});
