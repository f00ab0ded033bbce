/** The contract over both storages, and what only a bucket can do wrong. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openContent } from "#content/store.ts";
import { toNaruError } from "#lib/errors.ts";
import { silentLogger } from "#lib/log.ts";
import { createDiskStorage } from "#registry/storage/disk.ts";
import { type FakeBucket, startBucket } from "#registry/storage/s3-server.fake.ts";
import { openS3Storage } from "#registry/storage/s3.ts";
import type { BlobStorage } from "#registry/storage/storage.ts";
import { bytesOf, storageSuite } from "#registry/storage/storage.suite.ts";
import { digestOf } from "#spec/image/digest.ts";

let folder: string;
let bucket: FakeBucket;
let disk: BlobStorage;
let s3: BlobStorage;
const configOf = (url: string) => ({
  endpoint: url,
  bucket: "bucket",
  region: "us-east-1",
  prefix: "team/",
  accessKeyId: "key",
  secretAccessKey: "secret",
  redirects: false,
});
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "naru-storage-"));
  bucket = startBucket();
  disk = createDiskStorage(openContent(join(folder, "content")));
  s3 = await openS3Storage(configOf(bucket.url), silentLogger);
});
afterEach(() => {
  bucket[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

storageSuite("disk", () => ({ storage: disk, folder }));
storageSuite("s3", () => ({ storage: s3, folder }));

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "none",
    (error: unknown) => toNaruError(error).code,
  );
const upload = (content: string | Uint8Array): string => {
  const file = join(folder, "upload");
  writeFileSync(file, content);
  return file;
};

test("a bucket that is not there, or lets nobody in, is told at the start", async () => {
  const away = openS3Storage(configOf("http://127.0.0.1:1"), silentLogger);
  expect(await codeOf(away)).toBe("unavailable");
  const stranger = { ...configOf(bucket.url), accessKeyId: "other" };
  expect(await codeOf(openS3Storage(stranger, silentLogger))).toBe("unavailable");
});

test("a refused upload is tried again; one that fails for good leaves its file", async () => {
  bucket.refusals.push({ method: "PUT", status: 503 });
  await s3.adopt(upload("patience"), digestOf("patience"), 8);
  expect(await bytesOf(s3, digestOf("patience"), 0, 8)).toEqual(Buffer.from("patience"));
  bucket.refusals.push(...Array.from({ length: 20 }, () => ({ method: "PUT", status: 503 })));
  const file = upload("in vain");
  expect(await codeOf(s3.adopt(file, digestOf("in vain"), 7))).toBe("unavailable");
  expect(existsSync(file)).toBe(true);
});

test("a blob that the bucket cuts off is an error, never a short blob", async () => {
  const digest = digestOf("whole content");
  await s3.adopt(upload("whole content"), digest, 13);
  bucket.cutAt = 5;
  expect(await codeOf(bytesOf(s3, digest, 0, 13))).toBe("unavailable");
  bucket.cutAt = undefined;
  bucket.objects.clear();
  expect(await codeOf(bytesOf(s3, digest, 0, 13))).toBe("unavailable");
});

test("a slow deletion does not take away what came after it", async () => {
  const digest = digestOf("slow");
  await s3.adopt(upload("slow"), digest, 4);
  bucket.deleteDelayMs = 100;
  s3.delete(digest);
  await s3.adopt(upload("slow"), digest, 4);
  await s3[Symbol.asyncDispose]();
  expect(await bytesOf(s3, digest, 0, 4)).toEqual(Buffer.from("slow"));
});

test("with redirects a client gets a link that works by itself", async () => {
  const storage = await openS3Storage({ ...configOf(bucket.url), redirects: true }, silentLogger);
  const digest = digestOf("linked");
  await storage.adopt(upload("linked"), digest, 6);
  const location = storage.locate(digest);
  const link = "remote" in location ? location.remote.link : undefined;
  expect(await (await fetch(link ?? "")).text()).toBe("linked");
});
