/** What a build for several platforms does: images without names, then an index over them. */
import { expect, test } from "bun:test";
import { createFakeImages } from "#image/images.fake.ts";
import { digestOf } from "#spec/image/digest.ts";
import { parsePlatform } from "#spec/image/platform.ts";

const signal = new AbortController().signal;

test("an index over images and an attestation has a name, and goes with it", async () => {
  using fake = createFakeImages();
  const { images, dependencies } = fake;
  const [one, two] = [
    await fake.add("one", { layers: ["base", "one"] }),
    await fake.add("two", { layers: ["base", "two"] }),
  ];
  const manifest = await images.manifestOf(two, signal);
  expect(manifest.digest).toBe(digestOf(manifest.text));
  const attestation = JSON.stringify({
    schemaVersion: 2,
    config: {
      mediaType: "application/vnd.oci.image.config.v1+json",
      digest: digestOf("{}"),
      size: 2,
    },
    layers: [{ mediaType: "application/vnd.in-toto+json", digest: digestOf("sbom"), size: 4 }],
  });
  const created = await images.createIndex(
    {
      members: [
        { image: one, platform: parsePlatform("linux/s390x") },
        { image: two, platform: parsePlatform("linux/riscv64"), annotations: { a: "b" } },
        {
          manifest: attestation,
          blobs: ["{}", "sbom"],
          platform: { os: "unknown", architecture: "unknown" },
          annotations: {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": manifest.digest,
          },
        },
      ],
      references: ["docker.io/library/x:1"],
      annotations: { "org.opencontainers.image.title": "x" },
    },
    signal,
  );
  expect(created.imageId).toBe(one);
  expect(created.digest).toBe(digestOf(created.text));
  const { Manifests = [], Descriptor } = images.inspect("x:1", { hasManifests: true });
  expect(Descriptor?.["digest"]).toBe(created.digest);
  expect(
    Manifests.map(({ Kind, Available, ImageData }) => [
      Kind,
      Available,
      ImageData?.Platform["architecture"],
    ]),
  ).toEqual([
    ["image", true, "s390x"],
    ["image", true, "riscv64"],
    ["attestation", true, undefined],
  ]);
  expect(Manifests[2]?.AttestationData?.For).toBe(manifest.digest);
  expect(images.resolve(created.digest)).toBe(one);
  expect(images.resolve(manifest.digest)).toBe(two);
  expect(images.get("x:1", parsePlatform("linux/riscv64")).id).toBe(two);
  await images.remove("x:1", { isForced: false, isParentKept: false });
  expect([...dependencies.rows.list()]).toEqual([]);
  expect([...fake.content.walk()]).toEqual([]);
});

test("what a kept manifest speaks of has to be there", async () => {
  using fake = createFakeImages();
  const image = await fake.add("one");
  const config = { mediaType: "x/y", digest: digestOf("{}"), size: 2 };
  const manifest = JSON.stringify({ schemaVersion: 2, config, layers: [] });
  const members = [{ image }, { manifest, blobs: [] }];
  const failed = fake.images.createIndex({ members, references: ["x:1"] }, signal);
  expect(failed).rejects.toThrow(`blob "${config.digest}" of a manifest is not stored`);
  await failed.catch(() => undefined);
  expect(fake.images.find("x:1")).toBeUndefined();
  expect(fake.dependencies.rows.manifests.digests()).toEqual([]);
});

test("an index without images that are here is refused", async () => {
  using fake = createFakeImages();
  const manifest = JSON.stringify({
    schemaVersion: 2,
    config: { mediaType: "x/y", digest: digestOf("{}"), size: 2 },
    layers: [],
  });
  const request = { members: [{ manifest, blobs: ["{}"] }], references: ["x:1"] };
  const failed = fake.images.createIndex(request, signal);
  expect(failed).rejects.toThrow("no image that is here");
  await failed.catch(() => undefined);
  expect(fake.dependencies.rows.manifests.digests()).toEqual([]);
});
