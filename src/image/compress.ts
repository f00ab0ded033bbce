/** Layers compressed as they are wanted. The same tar in the same form is the same bytes: no name or time is in them. */
import { closeSync, openSync } from "node:fs";
import { Readable } from "node:stream";
import { constants, createGzip, createZstdCompress } from "node:zlib";
import { NaruError } from "#lib/errors.ts";
import type { SocketKernel } from "#kernel/kernel.ts";
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

/**
 * Starts a program that reads the file. The runtime's own way (a Bun.file as stdin) makes an empty file where there is
 * none: a blob that was removed meanwhile came back as one of no bytes.
 */
const spawnReading = <Out extends number | "pipe">(
  command: string[],
  path: string,
  stdout: Out,
): Bun.Subprocess<number, Out, "pipe"> => {
  const stdin = openSync(path, "r");
  try {
    return Bun.spawn(command, { stdin, stdout, stderr: "pipe" });
  } finally {
    closeSync(stdin);
  }
};

/** As much as igzip writes at once: it goes on while that is being sent. */
const PIPE_BYTES = 1024 * 1024;

/** A program's output by a pipe that is wider than the runtime's own. */
async function* outputOf(
  command: string[],
  path: string,
  kernel: Pick<SocketKernel, "pipe">,
): AsyncGenerator<Uint8Array, void> {
  const { readFd, writeFd } = kernel.pipe(PIPE_BYTES);
  let child: Bun.Subprocess<number, number, "pipe"> | undefined;
  try {
    try {
      child = spawnReading(command, path, writeFd);
    } finally {
      closeSync(writeFd);
    }
    // The stream leaves the descriptor open.
    yield* Bun.file(readFd).stream();
    if ((await child.exited) === 0) return;
    throw new NaruError("internal", `igzip failed: ${(await child.stderr.text()).trim()}`);
  } finally {
    closeSync(readFd);
    child?.kill();
  }
}

/** The fastest there is. */
export const gzipFile = (
  path: string,
  kernel?: Pick<SocketKernel, "pipe">,
): AsyncIterable<Uint8Array> => {
  const program = Bun.which("igzip");
  if (program === null) {
    return Readable.from(Bun.file(path).stream()).pipe(createGzip({ level: 4 }));
  }
  const command = [program, "-1", "-n", "-c"];
  if (kernel !== undefined) return outputOf(command, path, kernel);
  const child = spawnReading(command, path, "pipe");
  return (async function* () {
    yield* child.stdout;
    if ((await child.exited) === 0) return;
    throw new NaruError("internal", `igzip failed: ${(await child.stderr.text()).trim()}`);
  })();
};

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
