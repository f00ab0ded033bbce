/** What refers to an image goes along with a copy that is asked to take it. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { layer } from "#image/archive.fake.ts";
import { type FakeImages, createFakeImages } from "#image/images.fake.ts";
import { type FakeRegistry, startRegistry } from "#remote/registry.fake.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import { OCI_INDEX, OCI_MANIFEST } from "#spec/image/media-type.ts";

let fake: FakeImages;
let registry: FakeRegistry;
let target: FakeRegistry;
beforeEach(() => {
  fake = createFakeImages();
  registry = startRegistry();
  target = startRegistry();
});
afterEach(() => {
  fake[Symbol.dispose]();
  registry[Symbol.dispose]();
  target[Symbol.dispose]();
});

const signal = new AbortController().signal;
const options = { credentials: {}, targetCredentials: {}, signal, onEvent: () => undefined };
const tar = layer("x");
const LAYER = { tar, blob: Bun.gzipSync(new Uint8Array(tar)) };

/** An image, a signature of it, and one of that. */
const publish = () => {
  const image = registry.addImage("1", [LAYER]);
  const referTo = (subject: Digest, name: string): Digest => {
    const size = registry.manifests.get(subject)!.text.length;
    const more = { subject: { mediaType: OCI_MANIFEST, digest: subject, size } };
    return registry.addArtifact(name, ["{}", name], more);
  };
  const signature = referTo(image, "signature");
  const counter = referTo(signature, "counter");
  const indexOf = (digest: Digest): string => {
    const size = registry.manifests.get(digest)!.text.length;
    const manifests = [{ mediaType: OCI_MANIFEST, digest, size }];
    return JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
  };
  registry.referrers = new Map([
    [image, indexOf(signature)],
    [signature, indexOf(counter)],
  ]);
  return { image, signature, counter };
};

test("from registry to registry: only when asked for, and told by tags where there is no API", async () => {
  const { image, signature, counter } = publish();
  const [from, to] = [`${registry.host}/a/b:1`, `${target.host}/c/d:2`];
  await fake.images.copy(from, to, options);
  expect(target.manifests.has(signature)).toBe(false);
  for (let round = 0; round < 2; round += 1) {
    await fake.images.copy(from, to, { ...options, hasReferrers: true });
    for (const [subject, referrer] of [
      [image, signature],
      [signature, counter],
    ] as const) {
      expect(target.manifests.has(referrer)).toBe(true);
      const told = JSON.parse(target.manifests.get(subject.replace(":", "-"))!.text) as {
        manifests: { digest: string }[];
      };
      expect(told.manifests.map(({ digest }) => digest)).toEqual([referrer]);
    }
  }
  expect(target.blobs.has(digestOf("counter"))).toBe(true);
});

test("into an archive, beside the image; nothing of it stays here", async () => {
  const { image, signature, counter } = publish();
  const name = `${registry.host}/a/b:1`;
  const texts: string[] = [];
  for (const hasReferrers of [false, true]) {
    await using archive = await fake.images.exportRemote(name, { ...options, hasReferrers });
    texts.push(await new Response(archive.stream(signal)).text());
  }
  const [without = "", whole = ""] = texts;
  const path = (digest: Digest): string => `blobs/sha256/${digest.slice(7)}`;
  expect(without).toContain(path(image));
  expect(without).not.toContain(path(signature));
  for (const digest of [image, signature, counter]) expect(whole).toContain(path(digest));
  expect([...fake.content.walk()]).toEqual([]);
  expect([...fake.dependencies.rows.list()]).toEqual([]);
});
