/** `unpack` of the image worker: a layer made of a blob's file while that still grows. See `UnpackTask`. */
import { closeSync, openSync, readSync } from "node:fs";
import { LayerStage } from "#image/layer-stage.ts";
import type { UnpackLine, UnpackResult, UnpackTask } from "#image/worker-protocol.ts";
import { NaruError } from "#lib/errors.ts";
import type { InflateKernel } from "#kernel/inflate.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import { detectCompression } from "#snapshot/compression.ts";
import { sha256Digest } from "#spec/image/digest.ts";

const CHUNK_BYTES = 512 * 1024;
const LINE_BYTES = 4096;

export interface Asker {
  /** Blocks until there is something; 0 at the end. */
  readonly read: (buffer: Uint8Array) => number;
  readonly say: (line: UnpackLine) => void;
}

/** How much of the file is there; each call waits for another line. */
const growthFrom = ({ read }: Asker): (() => number) => {
  const buffer = Buffer.alloc(LINE_BYTES);
  let rest = "";
  return () => {
    for (;;) {
      const count = read(buffer);
      if (count === 0) throw new NaruError("canceled", "the layer is not wanted any more");
      const lines = (rest + buffer.toString("latin1", 0, count)).split("\n");
      rest = lines.pop() ?? "";
      const last = lines.at(-1);
      if (last !== undefined) return Number(last);
    }
  };
};

type Take = (plain: Uint8Array) => void;

interface Plain {
  push(bytes: Uint8Array): void;
  end(): void;
}

const openPlain = (kernel: InflateKernel, head: Uint8Array, take: Take): Plain => {
  const compression = detectCompression(head);
  if (compression === "none") return { push: take, end: () => undefined };
  const inflater = compression === "gzip" ? kernel.createInflater() : undefined;
  if (inflater === undefined) {
    throw new NaruError("internal", `this worker does not undo ${compression}`);
  }
  return { push: (bytes) => inflater.push(bytes, take), end: () => inflater.end() };
};

/** Blocks the thread, so only for child processes. */
export const unpackGrowing = (
  kernel: FileKernel & InflateKernel,
  { file, sizeBytes, directory, form }: UnpackTask,
  asker: Asker,
): UnpackResult => {
  using layer = new LayerStage({ kernel, directory, form });
  const hasher = form === "erofs" ? undefined : new Bun.CryptoHasher("sha256");
  let written = 0;
  const take: Take = (plain) => {
    hasher?.update(plain);
    layer.push(plain);
    written += plain.length;
  };
  const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  const grown = growthFrom(asker);
  asker.say({ kind: "unpacked", taken: 0, written });
  let available = grown();
  const fd = openSync(file, "r");
  try {
    let plain: Plain | undefined;
    for (let position = 0; position < sizeBytes;) {
      while (available <= position) available = grown();
      const count = readSync(fd, buffer, 0, Math.min(CHUNK_BYTES, available - position), position);
      if (count === 0)
        throw new NaruError("data_loss", "the blob is shorter than it was said to be");
      position += count;
      const bytes = buffer.subarray(0, count);
      plain ??= openPlain(kernel, bytes, take);
      plain.push(bytes);
      asker.say({ kind: "unpacked", taken: position, written });
    }
    plain?.end();
  } finally {
    closeSync(fd);
  }
  const staged = layer.finish();
  return hasher === undefined ? { staged } : { staged, diffId: sha256Digest(hasher.digest("hex")) };
};
