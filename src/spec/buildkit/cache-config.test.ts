import { expect, test } from "bun:test";
import {
  type CacheConfig,
  chainOfCacheLayer,
  formatCacheConfig,
  parseCacheConfig,
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
