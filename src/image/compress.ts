/** Layers compressed as they are wanted. The same tar in the same form is the same bytes: no name or time is in them. */
import { statSync } from "node:fs";
import { Readable } from "node:stream";
import { constants, createGzip, createZstdCompress } from "node:zlib";
import { gzipPieces } from "#image/gzip-pieces.ts";
import { DOCKER_LAYER, DOCKER_LAYER_GZIP, layerTypeOf } from "#spec/image/media-type.ts";

export type Compression = "gzip" | "zstd" | "uncompressed";

export const layerMediaType = (compression: Compression, isOci: boolean): string => {
  if (isOci || compression === "zstd") {
    return layerTypeOf(compression === "uncompressed" ? "none" : compression);
  }
  return compression === "gzip" ? DOCKER_LAYER_GZIP : DOCKER_LAYER;
};

/** What is in a file; undefined for what layers are not compressed with here. */
export const compressionOf = (mediaType: string): Compression | undefined => {
  if (/[+.]gzip$/.test(mediaType)) return "gzip";
  if (mediaType.endsWith("+zstd")) return "zstd";
  return mediaType.endsWith(".tar") ? "uncompressed" : undefined;
};

/** The fastest there is. Throws what opening the file throws. */
export async function* gzipFile(path: string): AsyncGenerator<Uint8Array, void> {
  // The runtime's own way (a Bun.file as stdin) makes an empty file where there is none.
  const { size } = statSync(path);
  const program = Bun.which("igzip");
  if (program !== null) yield* gzipPieces(program, path, size);
  else yield* Readable.from(Bun.file(path).stream()).pipe(createGzip({ level: 4 }));
}

/** A plain tar in another form. `level` is zlib's (0-9) or zstd's (1-22); undefined: a fast one. */
export const compressFile = (
  path: string,
  compression: "gzip" | "zstd",
  level: number | undefined,
): AsyncIterable<Uint8Array> => {
  const source = Readable.from(Bun.file(path).stream());
  if (compression === "zstd") {
    const params = { [constants.ZSTD_c_compressionLevel]: level ?? 3 };
    return source.pipe(createZstdCompress({ params }));
  }
  return level === undefined ? gzipFile(path) : source.pipe(createGzip({ level }));
};
