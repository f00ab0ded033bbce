import { expect, test } from "bun:test";
import {
  type CacheConfig,
  chainOfCacheLayer,
  formatCacheConfig,
  formatInlineCache,
  parseCacheConfig,
  parseInlineCache,
} from "#spec/buildkit/cache-config.ts";
import { digestOf } from "#spec/image/digest.ts";

const [A, B, C] = [digestOf("a"), digestOf("b"), digestOf("c")];
const layer = (blob: typeof A, parent: number) => ({
  blob,
  parent,
  mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
  diffId: digestOf(`plain ${blob}`),
  sizeBytes: 7,
});

test("what is written is read again", () => {
  const config: CacheConfig = {
    layers: [layer(A, -1), layer(B, 0), layer(C, 1)],
    records: [
      {
        key: digestOf("k"),
        layer: 2,
        createdAt: "2026-01-02T03:04:05Z",
        naru: { description: "RUN x", hasLayer: true },
      },
      {
        key: digestOf("l"),
        layer: undefined,
        createdAt: "2026-01-02T03:04:05Z",
        naru: { description: "ENV a=b", hasLayer: false },
      },
    ],
  };
  expect(parseCacheConfig(formatCacheConfig(config))).toEqual(config);
  expect(chainOfCacheLayer(config, 2).map(({ blob }) => blob)).toEqual([A, B, C]);
});

test("what an image carries names the image's own layers by their place, as BuildKit has it", () => {
  const own = [A, B].map((digest) => ({ digest, diffId: digestOf(`plain ${digest}`) }));
  const naru = { description: "RUN x", hasLayer: true };
  const record = { key: digestOf("k"), layer: 1, createdAt: "2026-01-02T03:04:05Z", naru };
  const linked = { ...record, key: C, layer: undefined, naru: { ...naru, layers: [1] } };
  const text = formatInlineCache([record, linked]);
  expect(JSON.parse(text)).toMatchObject([
    { digest: digestOf("k"), layers: [{ layer: 1 }] },
    { digest: C, naru: { layers: [1] } },
  ]);
  const config = parseInlineCache(text, own);
  expect(config.records).toEqual([record, linked]);
  expect(chainOfCacheLayer(config, 1).map(({ blob }) => blob)).toEqual([A, B]);
  const foreign = [{ digest: digestOf("l") }, { digest: C, layers: [{}], inputs: [[{ link: 0 }]] }];
  expect(parseInlineCache(JSON.stringify(foreign), own).records).toHaveLength(2);
  expect(() =>
    parseInlineCache(JSON.stringify([{ digest: A, layers: [{ layer: 2 }] }]), own),
  ).toThrow("names layer 2");
  // What naru wrote before it was a list.
  const whole = formatCacheConfig({ layers: [layer(A, -1)], records: [] });
  expect(parseInlineCache(whole, own).layers).toEqual([layer(A, -1)]);
});

test("a document of BuildKit is understood: a parent of 0 is left out, layers come in any order", () => {
  const text = JSON.stringify({
    layers: [
      { blob: A, parent: -1, annotations: { mediaType: "t", diffID: B, size: 3, createdAt: "x" } },
      { blob: C, parent: 2 },
      { blob: B },
    ],
    records: [
      { digest: digestOf("k"), layers: [{ layer: 1, createdAt: "2026-01-02T03:04:05Z" }] },
      { digest: digestOf("l"), inputs: [[{ link: 0 }]] },
      { digest: "random:abc" },
    ],
  });
  const config = parseCacheConfig(text);
  expect(chainOfCacheLayer(config, 1).map(({ blob }) => blob)).toEqual([A, B, C]);
  expect(config.records.map(({ layer: top, naru }) => [top, naru])).toEqual([
    [1, undefined],
    [undefined, undefined],
  ]);
});

test("layers that are not there, or stand on themselves, are refused", () => {
  const records = [{ digest: A, layers: [{ layer: 3 }] }];
  expect(() =>
    parseCacheConfig(JSON.stringify({ layers: [{ blob: A, parent: -1 }], records })),
  ).toThrow("names layer 3");
  const loop = parseCacheConfig(
    JSON.stringify({
      layers: [
        { blob: A, parent: 1 },
        { blob: B, parent: 0 },
      ],
    }),
  );
  expect(() => chainOfCacheLayer(loop, 0)).toThrow("stand on themselves");
});
