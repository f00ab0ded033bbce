import { randomBytes } from "node:crypto";
import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

import { gzipFile } from "#image/compress.ts";

test("a file that went away is an error, and is not made anew without its content", async () => {
  const folder = mkdtempSync(join(tmpdir(), "naru-compress-"));
  try {
    const path = join(folder, "tar");
    const read = async (): Promise<string> => {
      const parts: Uint8Array[] = [];
      for await (const part of gzipFile(path)) parts.push(part);
      return gunzipSync(Buffer.concat(parts)).toString();
    };
    const failed = await read().catch((error: Error) => error.message);
    expect(failed).toContain("ENOENT");
    expect(existsSync(path)).toBe(false);
    writeFileSync(path, "content");
    expect(await read()).toBe("content");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a large file is gzip members one after the other, the same ones each time", async () => {
  const folder = mkdtempSync(join(tmpdir(), "naru-compress-"));
  try {
    const path = join(folder, "tar");
    // Two pieces and a bit, of which none begins as another does.
    const block = randomBytes(3 * 1024 * 1024);
    const content = Buffer.concat([
      block,
      Buffer.alloc(9_000_000, "naru"),
      block,
      block,
      Buffer.alloc(17_000_001, "b"),
    ]);
    writeFileSync(path, content);
    const compressed = async (): Promise<Buffer> => {
      const parts: Uint8Array[] = [];
      for await (const part of gzipFile(path)) parts.push(part);
      return Buffer.concat(parts);
    };
    const [first, second] = [await compressed(), await compressed()];
    expect(first.equals(second)).toBe(true);
    expect(gunzipSync(first).equals(content)).toBe(true);
    // A reader that leaves early leaves nothing running.
    for await (const _part of gzipFile(path)) break;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
