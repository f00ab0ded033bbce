import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { gzipFile } from "#image/compress.ts";
import { createKernel } from "#kernel/real.ts";

test("a file that went away is an error, and is not made anew without its content", async () => {
  const folder = mkdtempSync(join(tmpdir(), "naru-compress-"));
  try {
    const path = join(folder, "tar");
    const read = async (kernel?: ReturnType<typeof createKernel>): Promise<string> => {
      const parts: Uint8Array[] = [];
      for await (const part of gzipFile(path, kernel)) parts.push(part);
      return Buffer.from(Bun.gunzipSync(Buffer.concat(parts))).toString();
    };
    for (const kernel of [undefined, createKernel()]) {
      const failed = await read(kernel).catch((error: Error) => error.message);
      expect(failed).toContain("ENOENT");
      expect(existsSync(path)).toBe(false);
      writeFileSync(path, "content");
      expect(await read(kernel)).toBe("content");
      rmSync(path);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
