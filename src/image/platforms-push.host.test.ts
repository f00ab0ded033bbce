/** Several platforms of one image pushed, against a registry of tests. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { failureOf } from "#image/images.fake.ts";
import { HOST, OTHER, openPlatforms, type Platforms } from "#image/platforms.fake.ts";
import { startRegistry } from "#remote/registry.fake.ts";
import { digestOf } from "#spec/image/digest.ts";
import { OCI_MANIFEST } from "#spec/image/media-type.ts";
import { parsePlatform } from "#spec/image/platform.ts";

let at: Platforms;
beforeEach(() => {
  at = openPlatforms();
});
afterEach(() => at[Symbol.dispose]());

const push = async (
  name: string,
  platform?: string,
): Promise<{ words: string[]; auxes: Record<string, unknown>[] }> => {
  const words: string[] = [];
  const auxes: Record<string, unknown>[] = [];
  await at.fake.images.push(name, {
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
  const { index } = at.publish();
  await at.pull({ isAllPlatforms: true });
  at.fake.images.tag(at.nameOf(), `${target.host}/c/d:2`);
  const { auxes } = await push(`${target.host}/c/d:2`);
  expect(auxes).toEqual([
    { Tag: "2", Digest: index, Size: at.registry.manifests.get("1")!.text.length },
  ]);
  expect(target.manifests.get("2")).toEqual(at.registry.manifests.get("1")!);
  for (const digest of at.registry.manifests.keys()) {
    if (digest.startsWith("sha256:")) expect(target.manifests.has(digest)).toBe(true);
  }
  expect([...target.blobs.keys()].toSorted()).toEqual([...at.registry.blobs.keys()].toSorted());
  expect(at.fake.images.get(`${target.host}/c/d:2`).repoDigests).toContain(
    `${target.host}/c/d@${index}`,
  );
});

test("push: what is here where that is not all, or what is asked for, in Docker's words", async () => {
  using target = startRegistry();
  const { index, host, other } = at.publish();
  await at.pull();
  const name = `${target.host}/c/d:2`;
  at.fake.images.tag(at.nameOf(), name);
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
  await at.pull({ platform: OTHER });
  await push(name, OTHER);
  expect(digestOf(target.manifests.get("2")!.text)).toBe(other);
  // Of several, the machine's own.
  await push(name);
  expect(digestOf(target.manifests.get("2")!.text)).toBe(host);
});

test("push: an index that was made here, whose layers are compressed on the way", async () => {
  using target = startRegistry();
  const { images } = at.fake;
  const signal = new AbortController().signal;
  const ids = [await at.fake.add("one"), await at.fake.add("two")];
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
  expect(at.fake.dependencies.rows.manifests.has(made.digest)).toBe(false);
  const before = target.log.length;
  await push(name);
  expect(target.log.slice(before).filter((line) => line.startsWith("PATCH"))).toEqual([]);
  expect(target.manifests.get("2")!.text).toBe(text);
});
