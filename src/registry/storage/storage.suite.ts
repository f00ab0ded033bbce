/** What every storage promises (storage.ts), run against each of them. */
import { expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BlobStorage } from "#registry/storage/storage.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";

export interface StorageWorld {
  readonly storage: BlobStorage;
  /** On the storage's file system. */
  readonly folder: string;
}

export const bytesOf = async (
  storage: BlobStorage,
  digest: Digest,
  first: number,
  sizeBytes: number,
): Promise<Buffer> => {
  const location = storage.locate(digest);
  if ("path" in location) {
    return Buffer.from(
      await Bun.file(location.path)
        .slice(first, first + sizeBytes)
        .bytes(),
    );
  }
  const parts: Uint8Array[] = [];
  for await (const part of location.remote.read(first, sizeBytes)) parts.push(part);
  return Buffer.concat(parts);
};

const walked = async (storage: BlobStorage): Promise<string[]> => {
  const found: string[] = [];
  for await (const { digest, sizeBytes, changedAtMs } of storage.walk()) {
    expect(Math.abs(Date.now() - changedAtMs)).toBeLessThan(60_000);
    found.push(`${digest} ${sizeBytes}`);
  }
  return found.toSorted();
};

export const storageSuite = (name: string, world: () => StorageWorld): void => {
  const give = async (content: Uint8Array | string): Promise<Digest> => {
    const { storage, folder } = world();
    const digest = digestOf(content);
    const file = join(folder, `upload-${Math.random()}`);
    writeFileSync(file, content);
    await storage.adopt(file, digest, Buffer.byteLength(content));
    expect(existsSync(file)).toBe(false);
    return digest;
  };

  test(`${name}: what was taken is there, whole and in parts, large and empty`, async () => {
    const large = Buffer.alloc(18_000_000);
    for (let at = 0; at < large.length; at += 1000) large.writeUInt32LE(at, at);
    for (const content of [large, Buffer.from("small"), Buffer.alloc(0)]) {
      const digest = await give(content);
      const { storage } = world();
      expect(digestOf(await bytesOf(storage, digest, 0, content.length))).toBe(digest);
      if (content.length === 0) continue;
      const part = await bytesOf(storage, digest, 1, content.length - 2);
      expect(digestOf(part)).toBe(digestOf(content.subarray(1, -1)));
    }
  });

  test(`${name}: taking the same again is no error, also at the same time`, async () => {
    const [digest] = await Promise.all([give("twice"), give("twice"), give("twice")]);
    expect((await bytesOf(world().storage, digest!, 0, 5)).toString()).toBe("twice");
  });

  test(`${name}: a walk sees all of it, and what was deleted no more`, async () => {
    const digests = await Promise.all(["a", "bb", "ccc", "dddd", "eeeee"].map(give));
    const { storage } = world();
    const expected = digests.map((digest, at) => `${digest} ${at + 1}`);
    expect(await walked(storage)).toEqual(expected.toSorted());
    storage.delete(digests[0]!);
    storage.delete(digests[0]!);
    await storage[Symbol.asyncDispose]();
    expect(await walked(storage)).toEqual(expected.slice(1).toSorted());
  });

  test(`${name}: what comes again after it was deleted stays`, async () => {
    const digest = await give("again");
    const { storage } = world();
    for (let round = 0; round < 5; round += 1) {
      storage.delete(digest);
      await give("again");
    }
    await storage[Symbol.asyncDispose]();
    expect((await bytesOf(storage, digest, 0, 5)).toString()).toBe("again");
  });
};
