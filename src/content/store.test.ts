import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Content } from "#content/content.ts";
import { openContent } from "#content/store.ts";
import { digestOf, parseDigest } from "#spec/image/digest.ts";

let root = "";
let content: Content;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "naru-content-"));
  content = openContent(root);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const chunks = async function* (...parts: string[]): AsyncGenerator<Uint8Array, void> {
  for (const part of parts) yield Buffer.from(part);
};
const failureOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "it did not fail",
    (error: unknown) => String(error),
  );
const ingests = (): string[] => readdirSync(join(root, "ingest"));

test("what was written is found by its digest, once", () => {
  const first = content.write("hello");
  expect(first.digest).toBe(digestOf("hello"));
  expect(content.write("hello")).toEqual(first);
  expect(content.readText(first.digest)).toBe("hello");
  expect([...content.walk()]).toEqual([first]);
  content.delete(first.digest);
  content.delete(first.digest);
  expect(content.info(first.digest)).toBeUndefined();
  expect(() => content.readText(first.digest)).toThrow("is not stored here");
});

test("a stream is stored whole, read by range", async () => {
  const info = await content.writeStream(chunks("hel", "lo"), {
    digest: digestOf("hello"),
    sizeBytes: 5,
  });
  expect(await new Response(content.stream(info.digest, { start: 1, end: 3 })).text()).toBe("el");
  expect(await content.verify(info.digest)).toBe(true);
  writeFileSync(info.path, "jello");
  expect(await content.verify(info.digest)).toBe(false);
  expect(ingests()).toEqual([]);
});

test("a stream that is not what was promised leaves nothing", async () => {
  const wrong = { digest: digestOf("other") };
  expect(await failureOf(content.writeStream(chunks("hello"), wrong))).toContain("expected sha256");
  expect(await failureOf(content.writeStream(chunks("hello"), { sizeBytes: 4 }))).toContain(
    "longer",
  );
  expect(await failureOf(content.writeStream(chunks("hello"), { sizeBytes: 6 }))).toContain(
    "cut off",
  );
  for (let tries = 0; tries < 1000 && ingests().length > 0; tries += 1) await Bun.sleep(10);
  expect([...content.walk()]).toEqual([]);
  expect(ingests()).toEqual([]);
});

test("sha512 names have their own directory", () => {
  const digest = parseDigest(`sha512:${new Bun.CryptoHasher("sha512").update("x").digest("hex")}`);
  expect(content.write("x", { digest }).digest).toBe(digest);
  expect(existsSync(content.path(digest))).toBe(true);
});

test("an ingest owns its directory", async () => {
  {
    await using ingest = content.openIngest();
    const file = join(ingest.directory, "layer");
    writeFileSync(file, "abc");
    expect(() => ingest.commit(file, digestOf("abc"), 4)).toThrow("has 3 bytes, not 4");
    ingest.commit(file, digestOf("abc"), 3);
    writeFileSync(join(ingest.directory, "rest"), "rest");
  }
  expect(content.readText(digestOf("abc"))).toBe("abc");
  expect(ingests()).toEqual([]);
  content.openIngest();
  expect(openContent(root).sweepIngests()).toBe(1);
  expect(ingests()).toEqual([]);
});
