/** Whether an indexed layer is what it was: its tar has its sum, and its index is what that tar gives. */
import { closeSync, existsSync, openSync, readFileSync, readSync } from "node:fs";
import { TarParser } from "#lib/tar/parser.ts";
import type { VerifyJob } from "#snapshot/job.ts";
import { INDEX_FILE, TAR_FILE, applyIdentity } from "#snapshot/layer-form.ts";
import { LayerTree } from "#snapshot/layer-tree.ts";
import { erofsImage } from "#spec/erofs/image.ts";
import { sha256Digest } from "#spec/image/digest.ts";

const CHUNK_BYTES = 1024 * 1024;

const readAll = (file: string, take: (chunk: Uint8Array) => void): number => {
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  let total = 0;
  const fd = openSync(file, "r");
  try {
    for (;;) {
      const count = readSync(fd, buffer, 0, buffer.length, null);
      if (count === 0) return total;
      take(buffer.subarray(0, count));
      total += count;
    }
  } finally {
    closeSync(fd);
  }
};

/** Blocks for as long as reading takes: for child processes. */
export const isGoodIndex = ({ directory, chainId, diffId, root }: VerifyJob): boolean => {
  const [tar, index] = [`${directory}/${TAR_FILE}`, `${directory}/${INDEX_FILE}`];
  if (!existsSync(tar) || !existsSync(index)) return false;
  const hasher = new Bun.CryptoHasher("sha256");
  readAll(tar, (chunk) => hasher.update(chunk));
  if (sha256Digest(hasher.digest("hex")) !== diffId) return false;
  // Only now is it known to be an archive.
  const tree = new LayerTree({ maxEntries: Number.POSITIVE_INFINITY });
  const parser = new TarParser(tree);
  const tarBytes = readAll(tar, (chunk) => parser.push(chunk));
  parser.end();
  const wanted = erofsImage(tree.root, tarBytes);
  applyIdentity(wanted, chainId, root);
  return wanted.equals(readFileSync(index));
};
