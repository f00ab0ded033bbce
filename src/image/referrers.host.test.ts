/** What refers to an image goes along with a copy that is asked to take it. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { dockerItems, layer, source, tar as writeTar } from "#image/archive.fake.ts";
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

const transfer = { credentials: {}, isAllTags: false, signal, onEvent: () => undefined };

test("into the store when asked for; along with save, load and push; gone with the image", async () => {
  const { image, signature, counter } = publish();
  const from = `${registry.host}/a/b:1`;
  const manifests = (at = fake): readonly Digest[] => at.dependencies.rows.manifests.digests();
  await fake.images.pull(from, transfer);
  expect(manifests()).toEqual([]);
  await fake.images.pull(from, { ...transfer, hasReferrers: true });
  expect(manifests().toSorted()).toEqual([signature, counter].toSorted());
  await fake.images.collect();
  expect(fake.content.info(digestOf("counter"))).toBeDefined();
  const served = await fake.images.servedIndex(from, signal);
  expect(served.referrers.toSorted()).toEqual([signature, counter].toSorted());

  using other = createFakeImages();
  const archive = await fake.images.save([from], signal);
  await other.images.load(archive.stream(signal), { signal });
  archive[Symbol.dispose]();
  expect(manifests(other).toSorted()).toEqual([signature, counter].toSorted());

  const to = `${target.host}/c/d:2`;
  other.images.tag(from, to);
  for (let round = 0; round < 2; round += 1) await other.images.push(to, transfer);
  for (const digest of [image, signature, counter]) {
    expect(target.manifests.has(digest)).toBe(true);
  }
  const told = JSON.parse(target.manifests.get(image.replace(":", "-"))!.text) as {
    manifests: { digest: string; artifactType: string }[];
  };
  expect(told.manifests.map(({ digest }) => digest)).toEqual([signature]);
  expect(target.blobs.has(digestOf("counter"))).toBe(true);

  await fake.images.remove(from, { isForced: false, isParentKept: false });
  expect([manifests(), [...fake.content.walk()]]).toEqual([[], []]);
});

test("of an image whose layer was here as a plain tar: its manifest can go out again all the same", async () => {
  const { signature } = publish();
  await fake.images.load(source(writeTar(...dockerItems([tar]))), { signal });
  const name = `${registry.host}/a/b:1`;
  await fake.images.pull(name, { ...transfer, hasReferrers: true });
  using archive = await fake.images.save([name], signal);
  expect(await new Response(archive.stream(signal)).text()).toContain(signature.slice(7));
});

test("of an index: the attestation of the platform that is pulled, and no other", async () => {
  const image = registry.addImage("a", [LAYER]);
  const other = registry.addImage("b", [{ tar: layer("y"), blob: layer("y") }]);
  const attest = (subject: Digest) => ({
    digest: registry.addArtifact(`of ${subject}`, ["{}", `about ${subject}`]),
    platform: { os: "unknown", architecture: "unknown" },
    annotations: {
      "vnd.docker.reference.type": "attestation-manifest",
      "vnd.docker.reference.digest": subject,
    },
  });
  const [mine, theirs] = [attest(image), attest(other)];
  registry.addIndex("1", [
    { digest: image, platform: { os: "linux", architecture: "amd64" } },
    { digest: other, platform: { os: "linux", architecture: "s390x" } },
    mine,
    theirs,
  ]);
  const name = `${registry.host}/a/b:1`;
  const wish = { platform: { os: "linux", architecture: "amd64" } };
  await fake.images.pull(name, { ...transfer, ...wish, hasReferrers: true });
  expect(fake.dependencies.rows.manifests.has(mine.digest)).toBe(true);
  expect(fake.dependencies.rows.manifests.has(theirs.digest)).toBe(false);
  expect(fake.content.info(digestOf(`about ${image}`))).toBeDefined();
});

test("a blob of what refers to an image, and of an artifact, is found gone and fetched again", async () => {
  publish();
  const name = `${registry.host}/a/b:1`;
  await fake.images.pull(name, { ...transfer, hasReferrers: true });
  registry.addArtifact("chart", ["{}", "a chart"]);
  await fake.images.pull(`${registry.host}/a/b:chart`, transfer);
  const check = async (repairs: boolean): Promise<string[]> => {
    const told: string[] = [];
    for await (const event of fake.images.check({ repairs })) {
      if (event.kind === "problem") told.push(`${event.id} ${event.outcome}`);
    }
    return told.toSorted();
  };
  expect(await check(false)).toEqual([]);
  for (const text of ["counter", "a chart"]) fake.content.delete(digestOf(text));
  const names = [name, `${registry.host}/a/b:chart`];
  expect(await check(false)).toEqual(names.map((one) => `${one} left`));
  expect(await check(true)).toEqual(names.map((one) => `${one} repaired`));
  expect(await check(false)).toEqual([]);
});

test("pull -a leaves tags alone that belong to other images", async () => {
  const { image } = publish();
  for (const name of ["signature", "counter"]) registry.manifests.delete(name);
  const hidden = [image.replace(":", "-"), `${image.replace(":", "-")}.sig`];
  for (const tag of hidden) registry.addArtifact(tag, ["{}", tag]);
  registry.addImage("2", [{ tar: layer("y"), blob: layer("y") }]);
  const told: string[] = [];
  await fake.images.pull(`${registry.host}/a/b`, {
    ...transfer,
    isAllTags: true,
    onEvent: ({ status, id }) => void (status.startsWith("Skipped") && told.push(id ?? "")),
  });
  expect(told).toEqual(hidden);
  const { repoTags } = fake.images.get(`${registry.host}/a/b:2`);
  expect(repoTags).toEqual([`${registry.host}/a/b:2`]);
  expect([...fake.dependencies.rows.list()].length).toBe(2);
});

test("cosign's tags go along with a copy that takes referrers", async () => {
  const { image } = publish();
  const tag = `${image.replace(":", "-")}.sig`;
  registry.addArtifact(tag, ["{}", "signed"]);
  await fake.images.copy(`${registry.host}/a/b:1`, `${target.host}/c/d:2`, {
    ...options,
    hasReferrers: true,
  });
  expect(target.manifests.get(tag)).toEqual(registry.manifests.get(tag)!);
  expect(target.blobs.has(digestOf("signed"))).toBe(true);
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

test("repair fetches what the image was, not what its tag stands for by now, and nothing for a name given here", async () => {
  const [old, own] = ["old", "own"].map((text) => {
    const plain = layer(text);
    return { tar: plain, blob: Bun.gzipSync(new Uint8Array(plain)) };
  });
  const digest = registry.addImage("1", [old!]);
  const name = `${registry.host}/a/b:1`;
  await fake.images.pull(name, transfer);
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

test("what was pulled, saved and loaded again, or copied from its archive, keeps its digest", async () => {
  const digest = registry.addImage("1", [LAYER]);
  const name = `${registry.host}/a/b:1`;
  await fake.images.pull(name, transfer);
  const parts: Uint8Array[] = [];
  {
    using saved = await fake.images.save([name], signal);
    for await (const part of saved.stream(signal)) parts.push(part);
  }
  const archive = Buffer.concat(parts);
  await fake.images.publish(`${target.host}/c/d:copied`, source(archive), options);
  await fake.images.remove(name, { isForced: false, isParentKept: false });
  await fake.images.load(source(archive), { signal });
  fake.images.tag(name, `${target.host}/c/d:pushed`);
  await fake.images.push(`${target.host}/c/d:pushed`, transfer);
  for (const tag of ["copied", "pushed"]) {
    expect(digestOf(target.manifests.get(tag)!.text)).toBe(digest);
  }
});
