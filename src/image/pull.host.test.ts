/** Pull and push with the real workers, against a registry that fails as told. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { layer, tar } from "#image/archive.fake.ts";
import { createImages } from "#image/images.ts";
import type { TransferEvent } from "#image/transfer.ts";
import { type FakeImages, createFakeImages, failureOf } from "#image/images.fake.ts";
import { type FakeRegistry, startRegistry } from "#remote/registry.fake.ts";
import { digestOf } from "#spec/image/digest.ts";
import { DOCKER_MANIFEST_LIST, OCI_INDEX, OCI_MANIFEST } from "#spec/image/media-type.ts";
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

/** Does not compress, so that its blob is as large. */
const noise = (sizeBytes: number, seed: number): Uint8Array => {
  const bytes = Buffer.alloc(sizeBytes);
  let state = seed;
  for (let at = 0; at < sizeBytes; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes.writeUInt32LE(state, at);
  }
  return bytes;
};
const zipped = (plain: Uint8Array) => ({ tar: plain, blob: Bun.gzipSync(new Uint8Array(plain)) });
const SMALL = zipped(layer("small"));
const LARGE = zipped(tar({ name: "large", content: noise(3_000_000, 1) }));

interface Done {
  readonly words: string[];
  readonly events: TransferEvent[];
}
const transfer = async (
  verb: "pull" | "push",
  name: string,
  options: {
    platform?: string;
    signal?: AbortSignal;
    onEvent?: (event: TransferEvent) => void;
  } = {},
): Promise<Done> => {
  const events: TransferEvent[] = [];
  await fake.images[verb](`${registry.host}/${name}`, {
    credentials: {},
    isAllTags: false,
    signal: options.signal ?? new AbortController().signal,
    onEvent: (event) => {
      events.push(event);
      options.onEvent?.(event);
    },
    ...(options.platform === undefined ? {} : { platform: parsePlatform(options.platform) }),
  });
  const words = events.filter((event) => event.current === undefined).map(({ status }) => status);
  return { words, events };
};
const blobGets = (): number =>
  registry.log.filter((line) => line.startsWith("GET") && line.includes("/blobs/")).length;
const expectNothingVisible = (): void => {
  expect([...fake.content.walk()]).toEqual([]);
  expect(readdirSync(join(fake.root, "content/ingest"))).toEqual([]);
  expect(fake.dependencies.layers.layers()).toEqual([]);
  expect([...fake.dependencies.rows.list()]).toEqual([]);
};

test("an image arrives whole, with its names and blobs, and is up to date the next time", async () => {
  const digest = registry.addImage("1", [SMALL, LARGE]);
  const { words } = await transfer("pull", "a/b:1");
  expect(words.slice(0, 3)).toEqual(["Pulling from a/b", "Pulling fs layer", "Pulling fs layer"]);
  for (const word of ["Verifying Checksum", "Download complete", "Pull complete"]) {
    expect(words.filter((one) => one === word)).toHaveLength(2);
  }
  expect(words.slice(-2)).toEqual([
    `Digest: ${digest}`,
    `Status: Downloaded newer image for ${registry.host}/a/b:1`,
  ]);
  const image = fake.images.get(`${registry.host}/a/b:1`);
  expect(image.repoDigests).toEqual([`${registry.host}/a/b@${digest}`]);
  for (const { blob } of [SMALL, LARGE])
    expect(fake.content.info(digestOf(blob))?.sizeBytes).toBe(blob.length);
  expect(readdirSync(join(fake.root, "content/partial"))).toEqual([]);
  expect(readdirSync(join(fake.root, "content/ingest"))).toEqual([]);
  const before = registry.log.length;
  expect((await transfer("pull", "a/b:1")).words.at(-1)).toContain("Image is up to date");
  expect(registry.log.slice(before).map((line) => line.split(" ")[0])).toEqual(["HEAD"]);
});

test("what the registry tells of its rate limit is shown", async () => {
  registry.addImage("1", [SMALL]);
  expect((await transfer("pull", "a/b:1")).words.join()).not.toContain("Rate limit");
  registry.addImage("2", [LARGE]);
  registry.faults.rateLimit = { limit: "100;w=21600", remaining: "76;w=21600" };
  expect((await transfer("pull", "a/b:2")).words).toContain(
    `Rate limit of ${registry.host}: 76 of 100 pulls left in 6 h`,
  );
});

test("a short name that a rule leads elsewhere is pulled from there and keeps its name", async () => {
  const digest = registry.addImage("1", [SMALL]);
  const rules = { tool: { location: `${registry.host}/team/tool` } };
  const { dependencies } = fake;
  const { registries } = dependencies;
  const images = createImages({
    ...dependencies,
    registries: { ...registries, remote: { ...registries.remote, rules } },
  });
  await images.pull("tool:1", {
    credentials: {},
    isAllTags: false,
    signal: new AbortController().signal,
    onEvent: () => undefined,
  });
  const { repoTags, repoDigests } = images.get("tool:1");
  expect([...repoTags, ...repoDigests]).toEqual(["tool:1", `tool@${digest}`]);
  expect(
    registry.log.every((line) => line.includes("/v2/team/tool/") || line.includes("/v2/ ")),
  ).toBe(true);
});

test("a pull that is given up stops its download at once", async () => {
  registry.addImage("1", [LARGE, SMALL]);
  const gone = Promise.withResolvers<void>();
  const digest = digestOf(LARGE.blob);
  registry.faults.stall = { digest, afterBytes: 2_000_000, onGone: gone.resolve };
  const stop = new AbortController();
  const pull = failureOf(
    transfer("pull", "a/b:1", {
      signal: stop.signal,
      onEvent: ({ status, id }) => {
        if (status === "Downloading" && digest.includes(id ?? "-")) stop.abort(new Error("gone"));
      },
    }),
  );
  expect(await pull).toBe("gone");
  // The registry sees the connection go: nothing is fetched for nobody.
  await gone.promise;
  expectNothingVisible();
});

test("two pulls at once fetch a layer once; one that gives up does not stop the other", async () => {
  registry.addImage("1", [LARGE]);
  registry.addImage("2", [LARGE, SMALL]);
  const stop = new AbortController();
  const first = failureOf(transfer("pull", "a/b:1", { signal: stop.signal }));
  const second = transfer("pull", "a/b:2", {
    onEvent: ({ status }) => {
      if (status === "Downloading") stop.abort();
    },
  });
  await Promise.all([first, second]);
  const layers = [LARGE, SMALL].map(({ blob }) => digestOf(blob));
  const counts = layers.map(
    (digest) => registry.log.filter((line) => line.includes(digest)).length,
  );
  expect(counts).toEqual([1, 1]);
});

test("a pull that failed leaves nothing to see; the next one fetches only the rest", async () => {
  registry.addImage("1", [LARGE]);
  // The config comes first, too small to be cut; the layer is cut at a third, and refused from then on.
  const onEvent = ({ status }: TransferEvent): void => {
    if (status !== "Downloading") return;
    registry.faults.refusals = Array.from({ length: 50 }, () => ({ status: 503, path: /blobs/ }));
  };
  registry.faults.cuts = [1_000_000, 1_000_000];
  expect(await failureOf(transfer("pull", "a/b:1", { onEvent }))).toContain("toomanyrequests");
  expectNothingVisible();
  registry.faults.refusals = [];
  const seen: number[] = [];
  await transfer("pull", "a/b:1", {
    onEvent: ({ status, current = 0, total }) => {
      if (status === "Downloading" && total === LARGE.blob.length) seen.push(current);
    },
  });
  expect(Math.min(...seen)).toBeGreaterThanOrEqual(1_000_000);
}, 300_000);

test("content that is not what it says is refused, and nothing stays", async () => {
  const cut = { tar: LARGE.tar, blob: LARGE.blob.slice(0, 2_000_000) };
  const broken = { tar: SMALL.tar, blob: SMALL.blob.slice(0, 40) };
  const other = { tar: layer("another"), blob: SMALL.blob };
  for (const [wrong, words] of [
    [cut, "data is damaged"],
    [broken, "damaged"],
    [other, 'the image says "sha256:'],
  ] as const) {
    registry.addImage("1", [wrong]);
    expect(await failureOf(transfer("pull", "a/b:1"))).toContain(words);
    expectNothingVisible();
  }
  registry.addImage("1", [LARGE]);
  registry.faults.otherContent = Buffer.alloc(LARGE.blob.length);
  expect(await failureOf(transfer("pull", "a/b:1"))).toContain("is larger than the");
  expectNothingVisible();
});

test("zero-size layers, layers without compression, the same layer twice", async () => {
  const plain = layer("plain");
  const layers = [{ tar: plain, blob: plain }, SMALL, SMALL, zipped(tar())];
  registry.addImage("1", layers);
  await transfer("pull", "a/b:1");
  expect(fake.dependencies.layers.layers()).toHaveLength(4);
});

test("a blob that another pull puts into the store may still be unpacked from where it was", async () => {
  registry.addImage("1", [SMALL, SMALL]);
  const { content, layers } = fake.dependencies;
  const blob = { digest: digestOf(SMALL.blob), sizeBytes: SMALL.blob.length };
  const unpack = layers.unpack.bind(layers);
  let count = 0;
  Object.assign(layers, {
    unpack: (options: Parameters<typeof unpack>[0]) => {
      content.commitPartials([blob]);
      count += 1;
      return unpack(options);
    },
  });
  await transfer("pull", "a/b:1");
  expect([count, layers.layers().length]).toEqual([1, 2]);
});

test("an index: the platform that is asked for, the best of several variants, none", async () => {
  const digests = ["5", "7", "8"].map((version) =>
    registry.addImage(`v${version}`, [zipped(layer(`arm ${version}`))], {
      architecture: "arm",
      variant: `v${version}`,
    }),
  );
  const entry = (digest: string, platform: object): object => ({
    mediaType: OCI_MANIFEST,
    digest,
    size: registry.manifests.get(digest)?.text.length,
    platform,
  });
  const attestation = entry(digests[0]!, { os: "unknown", architecture: "unknown" });
  const manifests = digests.map((digest, at) =>
    entry(digest, { os: "linux", architecture: "arm", variant: ["v5", "v7", "v8"][at] }),
  );
  const text = JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: [attestation, ...manifests],
  });
  registry.manifests.set("1", { text, type: OCI_INDEX });
  registry.manifests.set(digestOf(text), { text, type: OCI_INDEX });
  await transfer("pull", "a/b:1", { platform: "linux/arm/v7" });
  const image = fake.images.get(`${registry.host}/a/b:1`);
  expect([image.platform.variant, image.repoDigests]).toEqual([
    "v7",
    [`${registry.host}/a/b@${digestOf(text)}`],
  ]);
  await transfer("pull", "a/b:1", { platform: "linux/arm/v6" });
  expect(fake.images.get(`${registry.host}/a/b:1`).platform.variant).toBe("v5");
  expect(await failureOf(transfer("pull", "a/b:1", { platform: "linux/s390x" }))).toContain(
    "no matching manifest for linux/s390x in the manifest list entries",
  );
  expect(await failureOf(transfer("pull", "a/b:v8", { platform: "windows/amd64" }))).toContain(
    "operating system is not supported",
  );
  // A single image is taken whatever it is for, and again when it is here: with a warning.
  for (const words of ["Downloaded newer image for", "Image is up to date for"]) {
    const told = await transfer("pull", "a/b:v8", { platform: "linux/arm/v7" });
    const name = `${registry.host}/a/b:v8`;
    expect(told.words.slice(-2)).toEqual([
      `Status: ${words} ${name}`,
      `WARNING: image with reference ${name} was found but its platform (linux/arm/v8) does not match the specified platform (linux/arm/v7)`,
    ]);
    expect(fake.images.get(name).platform.variant).toBe("v8");
  }
  const silent = await transfer("pull", "a/b:v8", { platform: "linux/arm64" });
  expect(silent.words.at(-1)).toStartWith("Status: Image is up to date");
});

test("what is no image is refused by name", async () => {
  const put = (text: string, type: string): void => {
    registry.manifests.set("1", { text, type });
    registry.manifests.set(digestOf(text), { text, type });
  };
  put('{"schemaVersion":1}', "application/vnd.docker.distribution.manifest.v1+prettyjws");
  expect(await failureOf(transfer("pull", "a/b:1"))).toContain("schema 1 is not supported");
  put(JSON.stringify({ schemaVersion: 2, manifests: [], layers: [] }), DOCKER_MANIFEST_LIST);
  expect(await failureOf(transfer("pull", "a/b:1"))).toContain("ambiguous manifest");
  expect(blobGets()).toBe(0);
});

test("a push compresses plain layers the same each time, and goes on after a cut", async () => {
  await fake.add("x", { layers: ["one", "two"], references: [`${registry.host}/a/b:1`] });
  registry.faults.cuts = [10];
  const first = await transfer("push", "a/b:1");
  expect(first.words.filter((word) => word === "Pushed")).toHaveLength(2);
  const { aux } = first.events.at(-1)!;
  const { text } = registry.manifests.get("1")!;
  expect(aux).toEqual({ Tag: "1", Digest: digestOf(text), Size: text.length });
  for (const { digest } of (JSON.parse(text) as { layers: { digest: string }[] }).layers) {
    expect(
      Buffer.from(Bun.gunzipSync(new Uint8Array(registry.blobs.get(digest)!))).toString(),
    ).toStartWith("tar of ");
  }
  expect(fake.images.get(`${registry.host}/a/b:1`).repoDigests).toEqual([
    `${registry.host}/a/b@${digestOf(text)}`,
  ]);
  const again = await transfer("push", "a/b:1");
  expect(again.words.filter((word) => word === "Layer already exists")).toHaveLength(2);
  registry.blobs.clear();
  await transfer("push", "a/b:1");
  expect(registry.manifests.get("1")!.text).toBe(text);
});

test("a registry that is busy when the config comes is waited for", async () => {
  await fake.add("x", { layers: ["one"], references: [`${registry.host}/a/b:1`] });
  await transfer("push", "a/b:1");
  const { text } = registry.manifests.get("1")!;
  const { digest } = (JSON.parse(text) as { config: { digest: string } }).config;
  registry.blobs.delete(digest);
  const refused = registry.log.length;
  const busy = { status: 429, retryAfter: "0", path: /uploads\/./ };
  registry.faults.refusals = [busy, busy];
  await transfer("push", "a/b:1");
  expect(registry.faults.refusals).toEqual([]);
  expect(registry.log.slice(refused).filter((line) => line.startsWith("PATCH")).length).toBe(2);
  expect(registry.blobs.has(digest)).toBe(true);
});

test("what was pulled is pushed byte for byte, manifest and all", async () => {
  const digest = registry.addImage("1", [SMALL, LARGE]);
  await transfer("pull", "a/b:1");
  using other = startRegistry();
  const name = `${other.host}/c/d:2`;
  fake.images.tag(`${registry.host}/a/b:1`, name);
  const options = { credentials: {}, isAllTags: false, signal: new AbortController().signal };
  await fake.images.push(name, { ...options, onEvent: () => undefined });
  expect(digestOf(other.manifests.get("2")!.text)).toBe(digest);
  for (const { blob } of [SMALL, LARGE]) expect(other.blobs.has(digestOf(blob))).toBe(true);
});

test("a push of what is not here says so", async () => {
  expect(await failureOf(transfer("push", "no/body:1"))).toBe(
    `An image does not exist locally with the tag: ${registry.host}/no/body`,
  );
});

test("copy: an index with all its platforms to another registry, the same digests, nothing kept here", async () => {
  using other = startRegistry();
  const children = [SMALL, LARGE].map((one, at) =>
    registry.addImage(`p${at}`, [one], { architecture: ["amd64", "arm64"][at] }),
  );
  const manifests = children.map((digest, at) => ({
    mediaType: OCI_MANIFEST,
    digest,
    size: registry.manifests.get(digest)!.text.length,
    platform: { os: "linux", architecture: ["amd64", "arm64"][at] },
  }));
  const text = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
  registry.manifests.set("1", { text, type: OCI_INDEX });
  registry.manifests.set(digestOf(text), { text, type: OCI_INDEX });
  const said: string[] = [];
  const options = {
    credentials: {},
    targetCredentials: {},
    signal: new AbortController().signal,
    onEvent: ({ status, id }: TransferEvent) => void said.push(`${id ?? ""} ${status}`),
  };
  registry.faults.cuts = [1e9, 1e9, 1_000_000];
  await fake.images.copy(`${registry.host}/a/b:1`, `${other.host}/c/d:2`, options);
  expect(other.manifests.get("2")!.text).toBe(text);
  for (const digest of children) expect(other.manifests.has(digest)).toBe(true);
  for (const digest of registry.blobs.keys()) expect(other.blobs.has(digest)).toBe(true);
  expect([...fake.content.walk()]).toEqual([]);
  expect(readdirSync(join(fake.root, "content/partial"))).toEqual([]);
  await fake.images.copy(`${registry.host}/a/b:1`, `${other.host}/c/d:arm`, {
    ...options,
    platform: parsePlatform("linux/arm64"),
  });
  expect(digestOf(other.manifests.get("arm")!.text)).toBe(children[1]!);
  expect(said.filter((line) => line.endsWith("Already exists"))).toHaveLength(2);
});
