/** Layers in the form that a bundle wants them in. See bundle.ts. */
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { BundledLayer, BundledLayers, LayerFormat, LayerPosition } from "#image/bundle.ts";
import { compressFile, compressionOf, layerMediaType } from "#image/compress.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import type { Ingest } from "#content/content.ts";
import { NaruError } from "#lib/errors.ts";
import type { LayerBlobRow } from "#metadata/images.ts";
import type { Lease } from "#metadata/leases.ts";
import { type Digest, hexOf, sha256Digest } from "#spec/image/digest.ts";

type Stored = Pick<LayerBlobRow, "digest" | "mediaType" | "sizeBytes">;

/** What is stored already and will do; undefined: it has to be made. */
const chooseStored = (
  { content, rows }: ImageDependencies,
  { diffId }: LayerPosition,
  { compression, isForced, level }: LayerFormat,
): Stored | undefined => {
  const here = rows.layerBlobs(diffId).filter(({ digest }) => content.info(digest) !== undefined);
  const wanted = here.find(({ mediaType }) => compressionOf(mediaType) === compression);
  // Which level a blob was made with is not known.
  if (wanted !== undefined && (level === undefined || !isForced)) return wanted;
  return isForced ? undefined : here.find(({ digest }) => digest !== diffId);
};

const writeCompressed = async (
  source: string,
  target: string,
  { compression, level }: LayerFormat,
  signal: AbortSignal,
): Promise<{ digest: Digest; sizeBytes: number }> => {
  const hasher = new Bun.CryptoHasher("sha256");
  let sizeBytes = 0;
  await using file = await open(target, "wx", 0o600);
  const kind = compression === "zstd" ? "zstd" : "gzip";
  for await (const chunk of compressFile(source, kind, level)) {
    signal.throwIfAborted();
    hasher.update(chunk);
    sizeBytes += chunk.length;
    await file.writeFile(chunk);
  }
  await file.datasync();
  return { digest: sha256Digest(hasher.digest("hex")), sizeBytes };
};

const plainTar = async (
  { content, layers }: ImageDependencies,
  { chainId, diffId }: LayerPosition,
  ingest: Ingest,
  signal: AbortSignal,
): Promise<string> => {
  const stored = content.info(diffId);
  if (stored !== undefined) return stored.path;
  const path = join(ingest.directory, hexOf(diffId));
  await layers.layerTar(chainId, path, signal);
  return path;
};

/** The tar of a layer that came compressed, where the tar of our own making is another one. */
const originalTar = async (
  { content, rows }: ImageDependencies,
  { diffId }: LayerPosition,
  ingest: Ingest,
  cause: unknown,
): Promise<string> => {
  const { decompress } = await import("#snapshot/decompress.ts");
  const blob = rows.layerBlobs(diffId).find(({ digest }) => content.info(digest) !== undefined);
  if (blob === undefined) throw cause;
  const path = join(ingest.directory, `${hexOf(diffId)}.plain`);
  await using file = await open(path, "wx", 0o600);
  for await (const chunk of decompress(content.stream(blob.digest))) await file.writeFile(chunk);
  return path;
};

const make = async (
  dependencies: ImageDependencies,
  position: LayerPosition,
  format: LayerFormat,
  lease: Lease,
  signal: AbortSignal,
): Promise<Stored> => {
  const { content, layers, rows } = dependencies;
  const layer = layers.layer(position.chainId);
  if (layer === undefined) {
    throw new NaruError("not_found", `layer "${position.chainId}" is not unpacked here`);
  }
  await using ingest = content.openIngest();
  const plain = await plainTar(dependencies, position, ingest, signal).catch((error: unknown) =>
    originalTar(dependencies, position, ingest, error),
  );
  const { compression } = format;
  const target = join(ingest.directory, "layer");
  let made: { digest: Digest; sizeBytes: number };
  if (compression === "uncompressed") {
    await using file = await open(plain, "r");
    await file.datasync();
    const { size } = await file.stat();
    made = { digest: position.diffId, sizeBytes: size };
    lease.add({ kind: "blob", resource: position.diffId });
    if (content.info(position.diffId) === undefined) {
      ingest.commit(plain, position.diffId, size);
    }
  } else {
    made = await writeCompressed(plain, target, format, signal);
    lease.add({ kind: "blob", resource: made.digest });
    ingest.commit(target, made.digest, made.sizeBytes);
    await rm(target, { force: true });
  }
  const blob = { ...made, mediaType: layerMediaType(compression, true) };
  rows.putLayer(position.diffId, layer.sizeBytes, [blob]);
  return blob;
};

/** See `Bundles.layers`. */
export const bundleLayers = async (
  dependencies: ImageDependencies,
  positions: readonly LayerPosition[],
  format: LayerFormat,
  signal: AbortSignal,
): Promise<BundledLayers> => {
  const lease = dependencies.leases.acquire([]);
  try {
    const done = new Map<Digest, BundledLayer>();
    const found: BundledLayer[] = [];
    for (const position of positions) {
      signal.throwIfAborted();
      const { diffId } = position;
      const known = done.get(diffId);
      if (known !== undefined) {
        found.push(known);
        continue;
      }
      const blob =
        chooseStored(dependencies, position, format) ??
        (await make(dependencies, position, format, lease, signal));
      lease.add({ kind: "blob", resource: blob.digest });
      const compression = compressionOf(blob.mediaType);
      const mediaType =
        compression === undefined ? blob.mediaType : layerMediaType(compression, format.isOci);
      const descriptor = { mediaType, digest: blob.digest, size: blob.sizeBytes };
      const layer = { descriptor, path: dependencies.content.path(blob.digest), diffId };
      done.set(diffId, layer);
      found.push(layer);
    }
    return { layers: found, [Symbol.dispose]: () => lease[Symbol.dispose]() };
  } catch (error) {
    lease[Symbol.dispose]();
    throw error;
  }
};
