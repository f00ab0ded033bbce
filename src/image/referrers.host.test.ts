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

/** What cosign leaves beside an image, and an index that refers to it with what it lists. */
const attach = () => {
  const image = registry.addImage("1", [LAYER]);
  const sig = `${image.replace(":", "-")}.sig`;
  registry.addArtifact(sig, ["{}", "signed"]);
  const part = registry.addArtifact("part", ["{}", "part of it"]);
  const size = registry.manifests.get(image)!.text.length;
  const subject = { mediaType: OCI_MANIFEST, digest: image, size };
  const partSize = registry.manifests.get(part)!.text.length;
  const listed = [{ mediaType: OCI_MANIFEST, digest: part, size: partSize }];
  const text = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    subject,
    manifests: listed,
  });
  const index = digestOf(text);
  registry.manifests.set(index, { text, type: OCI_INDEX });
  const told = [{ mediaType: OCI_INDEX, digest: index, size: text.length }];
  const answer = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: told };
  registry.referrers = new Map([[image, JSON.stringify(answer)]]);
  return { image, sig, index, part };
};

test("cosign's tags, and indexes that refer: into the store, an archive, another store, another registry", async () => {
  const { image, sig, index, part } = attach();
  const name = `${registry.host}/a/b:1`;
  await fake.images.pull(name, { ...transfer, hasReferrers: true });
  for (const text of ["signed", "part of it"]) {
    expect(fake.content.info(digestOf(text))).toBeDefined();
  }
  const bytes = async (archive: { stream(signal: AbortSignal): AsyncIterable<Uint8Array> }) => {
    const parts: Uint8Array[] = [];
    for await (const one of archive.stream(signal)) parts.push(one);
    return Buffer.concat(parts);
  };
  const served = await fake.images.servedIndex(name, signal);
  const signed = digestOf(registry.manifests.get(sig)!.text);
  expect(served.attached).toEqual([{ tag: sig, digest: signed }]);
  const documents = served.documents.map(({ digest }) => digest);
  expect(documents).toEqual(expect.arrayContaining([signed, index, part]));
  const texts = served.blobs.map(({ digest }) => digest);
  expect(texts).toEqual(expect.arrayContaining([digestOf("signed"), digestOf("part of it")]));
  const archives: Buffer[] = [];
  {
    using saved = await fake.images.save([name], signal);
    await using remote = await fake.images.exportRemote(name, { ...options, hasReferrers: true });
    archives.push(await bytes(saved), await bytes(remote));
  }
  for (const archive of archives) {
    using other = createFakeImages();
    await other.images.load(source(archive), { signal });
    expect(
      other.dependencies.rows.manifests.tagsOf(digestOf(registry.manifests.get(sig)!.text)),
    ).toEqual([sig]);
    expect([...other.dependencies.rows.list()].length).toBe(1);
    await other.images.collect();
    for (const way of ["pushed", "published"]) {
      using there = startRegistry();
      const to = `${there.host}/c/d:2`;
      if (way === "published") await fake.images.publish(to, source(archive), options);
      else {
        other.images.tag(name, to);
        await other.images.push(to, transfer);
      }
      expect(there.manifests.get(sig)).toEqual(registry.manifests.get(sig)!);
      for (const digest of [image, index, part]) expect(there.manifests.has(digest)).toBe(true);
      for (const text of ["signed", "part of it"]) {
        expect(there.blobs.has(digestOf(text))).toBe(true);
      }
    }
    await other.images.remove(name, { isForced: true, isParentKept: false });
  }
  await fake.images.remove(name, { isForced: false, isParentKept: false });
  expect(fake.dependencies.rows.manifests.digests()).toEqual([]);
  expect([...fake.content.walk()]).toEqual([]);
});

test("a newer manifest under cosign's tag takes the older one's place here, and none at a registry", async () => {
  const { sig } = attach();
  const name = `${registry.host}/a/b:1`;
  await fake.images.pull(name, { ...transfer, hasReferrers: true });
  registry.addArtifact(sig, ["{}", "signed again"]);
  await fake.images.pull(name, { ...transfer, hasReferrers: true });
  const { manifests } = fake.dependencies.rows;
  expect(manifests.attachedAs(sig)).toBe(digestOf(registry.manifests.get(sig)!.text));
  expect(fake.content.info(digestOf("signed"))).toBeUndefined();
  const to = `${target.host}/c/d:2`;
  fake.images.tag(name, to);
  target.addArtifact(sig, ["{}", "signed there"]);
  const theirs = target.manifests.get(sig);
  const told: string[] = [];
  await fake.images.push(to, { ...transfer, onEvent: ({ status }) => void told.push(status) });
  expect(target.manifests.get(sig)).toEqual(theirs!);
  expect(told).toContain("Skipped referrer, the registry has another one");
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
