/** The blob store on a directory; see content.ts for what each method promises. */
import {
  closeSync,
  createReadStream,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { BlobInfo, Content, Expected, Ingest, ReadRange } from "#content/content.ts";
import { nowNs, randomHex } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { spreadChildren } from "#lib/spread-directory.ts";
import { type Digest, algorithmOf, hexOf, isDigest, parseDigest } from "#spec/image/digest.ts";

const DOCUMENT_MAX_BYTES = 8 * 1024 * 1024;
const READ_CHUNK_BYTES = 1024 * 1024;

const syncPath = (path: string): void => {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
};

const writeAll = (fd: number, bytes: Uint8Array): void => {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at);
};

const checkExpected = (expected: Expected, digest: Digest, sizeBytes: number): void => {
  if (expected.sizeBytes !== undefined && expected.sizeBytes !== sizeBytes) {
    throw new NaruError(
      "data_loss",
      `content is ${sizeBytes} bytes, expected ${expected.sizeBytes}: it was cut off or altered on the way`,
    );
  }
  if (expected.digest !== undefined && expected.digest !== digest) {
    throw new NaruError("data_loss", `content has digest ${digest}, expected ${expected.digest}`);
  }
};

class DirectoryContent implements Content {
  readonly blobsDirectory: string;
  readonly #ingests: string;
  readonly #partials: string;

  constructor(root: string) {
    this.blobsDirectory = join(root, "blobs");
    this.#ingests = join(root, "ingest");
    this.#partials = join(root, "partial");
    mkdirSync(this.#partials, { recursive: true, mode: 0o700 });
    for (const algorithm of ["sha256", "sha512"]) {
      mkdirSync(join(this.blobsDirectory, algorithm), { recursive: true, mode: 0o700 });
    }
    const isNew = mkdirSync(this.#ingests, { recursive: true, mode: 0o700 }) !== undefined;
    // Loaded layers are unpacked there before the snapshot store takes them over.
    if (isNew) spreadChildren(this.#ingests);
  }

  path(digest: Digest): string {
    return join(this.blobsDirectory, algorithmOf(digest), hexOf(digest));
  }

  info(digest: Digest): BlobInfo | undefined {
    const path = this.path(digest);
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat === undefined ? undefined : { digest, sizeBytes: stat.size, path };
  }

  #get(digest: Digest): BlobInfo {
    const info = this.info(digest);
    if (info === undefined) throw new NaruError("not_found", `blob "${digest}" is not stored here`);
    return info;
  }

  readText(digest: Digest, maxBytes = DOCUMENT_MAX_BYTES): string {
    const { path, sizeBytes } = this.#get(digest);
    if (sizeBytes > maxBytes) {
      throw new NaruError(
        "resource_exhausted",
        `blob "${digest}" has ${sizeBytes} bytes, a document may have ${maxBytes}`,
      );
    }
    return readFileSync(path, "utf8");
  }

  stream(digest: Digest, range?: ReadRange): ReadableStream<Uint8Array> {
    const { path } = this.#get(digest);
    const file = Bun.file(path);
    return (range === undefined ? file : file.slice(range.start, range.end)).stream();
  }

  write(content: string | Uint8Array, expected: Expected = {}): BlobInfo {
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    const algorithm = expected.digest === undefined ? "sha256" : algorithmOf(expected.digest);
    const digest = parseDigest(
      `${algorithm}:${new Bun.CryptoHasher(algorithm).update(bytes).digest("hex")}`,
    );
    checkExpected(expected, digest, bytes.length);
    const existing = this.info(digest);
    if (existing !== undefined) return existing;
    const temporary = join(this.#ingests, `${randomHex(8)}.blob`);
    const fd = openSync(temporary, "wx", 0o600);
    try {
      writeAll(fd, bytes);
      fsyncSync(fd);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    } finally {
      closeSync(fd);
    }
    return this.#publish(temporary, digest, bytes.length);
  }

  async writeStream(
    source: AsyncIterable<Uint8Array>,
    expected: Expected = {},
    signal?: AbortSignal,
  ): Promise<BlobInfo> {
    const algorithm = expected.digest === undefined ? "sha256" : algorithmOf(expected.digest);
    const hasher = new Bun.CryptoHasher(algorithm);
    await using ingest = this.openIngest();
    const temporary = join(ingest.directory, "blob");
    const fd = openSync(temporary, "wx", 0o600);
    let sizeBytes = 0;
    try {
      for await (const chunk of source) {
        signal?.throwIfAborted();
        sizeBytes += chunk.length;
        if (expected.sizeBytes !== undefined && sizeBytes > expected.sizeBytes) {
          throw new NaruError(
            "data_loss",
            `content is longer than its ${expected.sizeBytes} bytes`,
          );
        }
        hasher.update(chunk);
        writeAll(fd, chunk);
      }
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    const digest = parseDigest(`${algorithm}:${hasher.digest("hex")}`);
    checkExpected(expected, digest, sizeBytes);
    return ingest.commit(temporary, digest, sizeBytes);
  }

  async adopt(file: string, digest: Digest, sizeBytes: number): Promise<BlobInfo> {
    const existing = this.info(digest);
    if (existing !== undefined && existing.sizeBytes === sizeBytes) {
      await rm(file, { force: true });
      return existing;
    }
    const path = this.path(digest);
    await rename(file, path);
    await using directory = await open(dirname(path), "r");
    await directory.sync();
    return { digest, sizeBytes, path };
  }

  async verify(digest: Digest, signal?: AbortSignal): Promise<boolean> {
    const { path } = this.#get(digest);
    const hasher = new Bun.CryptoHasher(algorithmOf(digest));
    for await (const chunk of createReadStream(path, { highWaterMark: READ_CHUNK_BYTES })) {
      signal?.throwIfAborted();
      hasher.update(chunk as Uint8Array);
    }
    return hasher.digest("hex") === hexOf(digest);
  }

  delete(digest: Digest): void {
    rmSync(this.path(digest), { force: true });
  }

  *walk(): Generator<BlobInfo, void> {
    for (const algorithm of readdirSync(this.blobsDirectory)) {
      for (const hex of readdirSync(join(this.blobsDirectory, algorithm))) {
        const digest = `${algorithm}:${hex}`;
        const info = isDigest(digest) ? this.info(digest) : undefined;
        if (info !== undefined) yield info;
      }
    }
  }

  openIngest(): Ingest {
    const directory = join(this.#ingests, randomHex(8));
    mkdirSync(directory, { mode: 0o700 });
    return {
      directory,
      commit: (file, digest, sizeBytes) => this.#commit(file, digest, sizeBytes),
      // Processes that were killed a moment ago may still be letting go of it.
      [Symbol.asyncDispose]: () =>
        rm(directory, { recursive: true, force: true, maxRetries: 8, retryDelay: 50 }),
    };
  }

  partialPath(digest: Digest): string {
    return join(this.#partials, `${algorithmOf(digest)}-${hexOf(digest)}`);
  }

  commitPartials(blobs: readonly Omit<BlobInfo, "path">[]): void {
    const changed = new Set<string>();
    try {
      for (const { digest, sizeBytes } of blobs) {
        const partial = this.partialPath(digest);
        checkSize(partial, digest, sizeBytes);
        if (this.#place(partial, digest, sizeBytes)) changed.add(dirname(this.path(digest)));
      }
    } finally {
      for (const directory of changed) syncPath(directory);
    }
  }

  sweepPartials(ageMs: number, isWanted: (digest: Digest) => boolean = () => false): number {
    const oldest = Number(nowNs() / 1_000_000n) - ageMs;
    let freed = 0;
    for (const name of readdirSync(this.#partials)) {
      const path = join(this.#partials, name);
      const { mtimeMs, size } = statSync(path, { throwIfNoEntry: false }) ?? {
        mtimeMs: 0,
        size: 0,
      };
      const digest = name.replace("-", ":");
      if (mtimeMs > oldest || (isDigest(digest) && isWanted(digest))) continue;
      rmSync(path, { force: true });
      freed += size;
    }
    return freed;
  }

  #commit(file: string, digest: Digest, sizeBytes: number): BlobInfo {
    checkSize(file, digest, sizeBytes);
    return this.#publish(file, digest, sizeBytes);
  }

  #publish(file: string, digest: Digest, sizeBytes: number): BlobInfo {
    const path = this.path(digest);
    if (this.#place(file, digest, sizeBytes)) syncPath(dirname(path));
    return { digest, sizeBytes, path };
  }

  /** An existing blob stays: same digest, same bytes. True: the file has the blob's name, in a directory to be synced. */
  #place(file: string, digest: Digest, sizeBytes: number): boolean {
    const existing = this.info(digest);
    if (existing !== undefined && existing.sizeBytes === sizeBytes) {
      rmSync(file, { force: true });
      return false;
    }
    renameSync(file, this.path(digest));
    return true;
  }

  sweepIngests(): number {
    const names = readdirSync(this.#ingests);
    for (const name of names) rmSync(join(this.#ingests, name), { recursive: true, force: true });
    return names.length;
  }
}

const checkSize = (file: string, digest: Digest, sizeBytes: number): void => {
  const found = statSync(file).size;
  if (found === sizeBytes) return;
  throw new NaruError("data_loss", `ingest of "${digest}" has ${found} bytes, not ${sizeBytes}`);
};

/** Opens (and creates) the store under `root`, such as `<dataRoot>/content`. */
export const openContent = (root: string): Content => new DirectoryContent(root);
