/** Artifacts under names of their own, and layers that registries may not have. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { layer } from "#image/archive.fake.ts";
import { type FakeImages, createFakeImages, failureOf } from "#image/images.fake.ts";
import { type FakeRegistry, TEST_CONFIG, startRegistry } from "#remote/registry.fake.ts";
import { digestOf } from "#spec/image/digest.ts";
import { OCI_MANIFEST } from "#spec/image/media-type.ts";

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

const signal = new AbortController().signal;
const transfer = async (verb: "pull" | "push", name: string): Promise<string[]> => {
  const words: string[] = [];
  const onEvent = ({ status }: { status: string }): void => void words.push(status);
  await fake.images[verb](name, { credentials: {}, isAllTags: false, signal, onEvent });
  return words;
};

test("an artifact is kept as it came: listed, tagged, pushed, served, removed, and not run", async () => {
  using target = startRegistry();
  const digest = registry.addArtifact("1", ["{}", "a chart", "its values"], {
    artifactType: "application/vnd.example.chart",
  });
  const name = `${registry.host}/charts/x:1`;
  await transfer("pull", name);
  expect((await transfer("pull", name)).at(-1)).toContain("up to date");
  const [shown] = fake.images.list({ isAll: false, filters: new Map(), hasManifests: true });
  const content = registry.manifests.get("1")!.text.length + "{}a chartits values".length;
  expect(shown).toMatchObject({
    Id: digest,
    RepoTags: [name],
    Size: "{}a chartits values".length,
    Manifests: [{ ID: digest, Kind: "unknown", Available: true, Size: { Content: content } }],
  });
  expect(fake.images.usage().layersBytes).toBe("{}a chartits values".length);
  expect(fake.images.inspect(name).Descriptor?.["digest"]).toBe(digest);
  expect(await failureOf(fake.images.admit(name, fake.images.get(name)))).toBe(
    `"${name}" is no container image, but an artifact of type "application/vnd.example.chart", which cannot be run: it can be listed, copied and pushed`,
  );
  const saved = await fake.images.save([name], signal);
  using other = createFakeImages();
  await other.images.load(saved.stream(signal), { signal });
  expect(other.images.get(name).id).toBe(digest);
  const renamed = { signal, reference: "other:3" };
  await other.images.load(saved.stream(signal), renamed);
  expect(other.images.get("other:3").id).toBe(digest);
  expect([...other.content.walk()].length).toBe([...fake.content.walk()].length);
  saved[Symbol.dispose]();
  fake.images.tag(name, `${target.host}/y:2`);
  await transfer("push", `${target.host}/y:2`);
  expect(target.manifests.get("2")).toEqual(registry.manifests.get("1")!);
  expect([...target.blobs.keys()].toSorted()).toEqual([...registry.blobs.keys()].toSorted());
  const served = await fake.images.servedIndex(name, signal);
  expect([served.answer?.digest, served.blobs.length]).toEqual([digest, 3]);
  await fake.images.collect();
  await fake.images.remove(name, { isForced: false, isParentKept: false });
  await fake.images.remove(`${target.host}/y:2`, { isForced: false, isParentKept: false });
  expect([...fake.content.walk()]).toEqual([]);
  expect([...fake.dependencies.rows.list()]).toEqual([]);
  expect(fake.dependencies.rows.manifests.digests()).toEqual([]);
});

const FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/** The registry has the manifest, somebody else the layer. */
const addForeign = (urls: readonly string[]) => {
  const tar = layer("foreign");
  const blob = Bun.gzipSync(new Uint8Array(tar));
  const own = { tar: layer("own"), blob: Bun.gzipSync(new Uint8Array(layer("own"))) };
  registry.addImage("1", [own, { tar, blob }]);
  registry.blobs.delete(digestOf(blob));
  const manifest = JSON.parse(registry.manifests.get("1")!.text) as { layers: object[] };
  manifest.layers[1] = { ...manifest.layers[1], mediaType: FOREIGN, urls };
  const document = { text: JSON.stringify(manifest), type: OCI_MANIFEST };
  registry.manifests.set("1", document);
  registry.manifests.set(digestOf(document.text), document);
  return { blob, text: document.text };
};

test("a foreign layer comes from its URL, without credentials, and is not pushed", async () => {
  const asked: (string | null)[] = [];
  const made: { blob?: Uint8Array<ArrayBuffer> } = {};
  using elsewhere = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request) => {
      asked.push(request.headers.get("authorization"));
      if (new URL(request.url).pathname === "/gone") return new Response("", { status: 404 });
      return new Response(made.blob ?? "");
    },
  });
  const base = `http://localhost:${elsewhere.port}`;
  const { blob, text } = addForeign([`${base}/gone`, `${base}/layer`]);
  made.blob = new Uint8Array(blob);
  registry.faults.basic = "u:p";
  const name = `${registry.host}/a/b:1`;
  const credentials = { username: "u", password: "p" };
  await fake.images.pull(name, {
    credentials,
    isAllTags: false,
    signal,
    onEvent: () => undefined,
  });
  expect(asked).toEqual([null, null]);
  expect(fake.content.info(digestOf(blob))?.sizeBytes).toBe(blob.length);
  using target = startRegistry();
  fake.images.tag(name, `${target.host}/c:1`);
  expect(await transfer("push", `${target.host}/c:1`)).toContain("Skipped foreign layer");
  expect(target.manifests.get("1")!.text).toBe(text);
  expect(target.blobs.has(digestOf(blob))).toBe(false);
});

test("a foreign layer is pushed and copied to a registry that may have it", async () => {
  const made: { blob?: Uint8Array<ArrayBuffer> } = {};
  using elsewhere = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => new Response(made.blob ?? ""),
  });
  const { blob, text } = addForeign([`http://localhost:${elsewhere.port}/layer`]);
  made.blob = new Uint8Array(blob);
  using target = startRegistry();
  using named = createFakeImages(undefined, undefined, {
    ...TEST_CONFIG,
    nondistributable: [target.host],
  });
  const name = `${registry.host}/a/b:1`;
  const options = { credentials: {}, isAllTags: false, signal, onEvent: () => undefined };
  await named.images.copy(name, `${target.host}/copied:1`, { ...options, targetCredentials: {} });
  expect(target.blobs.has(digestOf(blob))).toBe(true);
  target.blobs.clear();
  await named.images.pull(name, options);
  named.images.tag(name, `${target.host}/c:1`);
  await named.images.push(`${target.host}/c:1`, options);
  expect(target.blobs.has(digestOf(blob))).toBe(true);
  expect(target.manifests.get("1")!.text).toBe(text);
});

test("a foreign layer's URL has to be https, without a password", async () => {
  for (const url of ["http://example.com/x", "file:///etc/passwd", "https://u:p@example.com/x"]) {
    addForeign([url]);
    const failed = failureOf(transfer("pull", `${registry.host}/a/b:1`));
    expect(await failed).toContain("a layer's URL has to be https, without a password in it");
  }
});
