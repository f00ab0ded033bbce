import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { gzipSync } from "node:zlib";

import { gunzipFile } from "#snapshot/gunzip.ts";

const folder = mkdtempSync(`${tmpdir()}/naru-gunzip-`);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const read = async (bytes: Uint8Array): Promise<Buffer> => {
  const path = `${folder}/file`;
  writeFileSync(path, bytes);
  const chunks: Uint8Array[] = [];
  for await (const chunk of gunzipFile(path)) chunks.push(chunk);
  return Buffer.concat(chunks);
};

const random = (sizeBytes: number): Buffer => {
  let state = 1;
  return Buffer.from(
    Array.from({ length: sizeBytes }, () => (state = (state * 48_271) % 2_147_483_647) & 0xff),
  );
};

const small = Buffer.from("a few words");
const large = random(600_000);

test("what lies behind the end takes nothing away", async () => {
  for (const data of [small, large]) {
    for (const behind of ["", "words", "\u0000\u0000\u0000", "\u001F", "\u001F\u008Bwords"]) {
      const file = Buffer.concat([gzipSync(data), Buffer.from(behind, "latin1")]);
      expect((await read(file)).equals(data)).toBe(true);
    }
  }
});

test("members follow each other, with every field that a head may have", async () => {
  const [head, rest] = [gzipSync(small).subarray(0, 10), gzipSync(small).subarray(10)];
  head[3] = 2 + 4 + 8 + 16;
  const fields = Buffer.from("\u0002\u0000xxname\u0000comment\u0000ss", "latin1");
  const file = Buffer.concat([gzipSync(large), head, fields, rest, gzipSync(small)]);
  expect((await read(file)).equals(Buffer.concat([large, small, small]))).toBe(true);
});

test("a lost end is lost, a damaged middle is told", async () => {
  expect((await read(gzipSync(large).subarray(0, -6))).equals(large)).toBe(true);
  const cut = gzipSync(large).subarray(0, -5000);
  expect(read(cut)).rejects.toThrow("the gzip data of the archive is damaged");
  expect(read(Buffer.from("no gzip at all"))).rejects.toThrow("is damaged");
});
