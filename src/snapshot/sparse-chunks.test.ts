import { expect, test } from "bun:test";
import { chunksOf } from "#snapshot/sparse-chunks.ts";

test("runs become chunks of the largest size that all of them keep to", () => {
  const regions = [
    { offset: 8192, length: 4096 },
    { offset: 32_768, length: 100 },
    { offset: 32_868, length: 0 },
  ];
  expect(chunksOf(32_868, regions, 1024)).toEqual({
    chunkBits: 3,
    blocks: [-1, -1, 2, -1, -1, -1, -1, -1, 10],
  });
});

test("a file of nothing but a hole is one chunk without a block", () => {
  expect(chunksOf(9_000_000, [{ offset: 9_000_000, length: 0 }], 512)).toEqual({
    chunkBits: 15,
    blocks: [-1],
  });
});

test("what does not lie at blocks, or takes too many chunks, has none", () => {
  expect(chunksOf(5000, [{ offset: 100, length: 512 }], 512)).toBeUndefined();
  expect(chunksOf(5000, [{ offset: 512, length: 100 }], 512)).toBeUndefined();
  expect(
    chunksOf(
      5000,
      [
        { offset: 0, length: 512 },
        { offset: 1024, length: 512 },
      ],
      100,
    ),
  ).toBeUndefined();
  const huge = [
    { offset: 512, length: 512 },
    { offset: 2 ** 40, length: 512 },
  ];
  expect(chunksOf(2 ** 41, huge, 512)).toBeUndefined();
});
