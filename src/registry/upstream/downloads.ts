/**
 * Blobs on their way from an upstream. Each is fetched once, however many ask, and who asks reads along while it
 * arrives. The last bytes are shown only after the whole was found to be what its digest says: a client never
 * has a whole blob that is wrong. A cut connection is taken up where it broke.
 */
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { now, randomHex, sleep } from "#lib/clock.ts";
import { NaruError, hasCode } from "#lib/errors.ts";
import { type LocalDependencies, blobAt } from "#registry/local.ts";
import type { Blob } from "#registry/registry.ts";
import { GrowingFile } from "#registry/upstream/growth.ts";
import type { Repository } from "#remote/remote.ts";
import { distributionError } from "#spec/distribution/errors.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import { type Digest, algorithmOf, parseDigest } from "#spec/image/digest.ts";

const DOWNLOADS_LIMIT = 64;
const ATTEMPTS = 5;
const PAUSE_MS = 500;
const STALL_MS = 60_000;

interface Download {
  readonly path: string;
  readonly growth: GrowingFile;
  /** The upstream has begun to send it. */
  readonly begun: Promise<void>;
  readonly done: Promise<void>;
}

/** What stands in the file: kept between attempts. */
interface Progress {
  readonly file: FileHandle;
  readonly hasher: Bun.CryptoHasher;
  offset: number;
}

/** Aborts when nothing was heard for too long. */
class StallWatch implements Disposable {
  readonly #controller = new AbortController();
  #timer = this.#start();

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  #start(): ReturnType<typeof setTimeout> {
    return setTimeout(() => {
      this.#controller.abort(new NaruError("unavailable", "the upstream sends nothing any more"));
    }, STALL_MS);
  }

  heard(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#start();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

export class Downloads {
  readonly #deps: LocalDependencies;
  readonly #running = new Map<Digest, Download>();

  constructor(deps: LocalDependencies) {
    this.#deps = deps;
  }

  /** The blob while it arrives. Throws what the upstream answered when it did not begin. */
  async blob(repository: string, upstream: () => Repository, wanted: Descriptor): Promise<Blob> {
    let download = this.#running.get(wanted.digest);
    if (download === undefined) {
      if (this.#running.size >= DOWNLOADS_LIMIT) {
        throw distributionError("TOOMANYREQUESTS", "too many blobs are being fetched at once", {
          details: { retryAfterSeconds: 2 },
        });
      }
      this.#deps.quotas.check(repository, wanted.size, wanted.digest);
      download = this.#start(repository, upstream, wanted);
    }
    const { digest, size } = wanted;
    const { path, growth, begun, done } = download;
    await begun;
    if (this.#running.get(digest) !== download) await done;
    const isThere = this.#running.get(digest) !== download;
    this.#linkWhenDone(repository, wanted, done);
    return isThere
      ? blobAt(this.#deps.storage, digest, size)
      : { digest, sizeBytes: size, path, growth };
  }

  /** The first asker's repository has it by the commit; the others when it is there. */
  #linkWhenDone(repository: string, wanted: Descriptor, done: Promise<void>): void {
    const { rows, quotas } = this.#deps;
    const { digest, size } = wanted;
    done
      .then(() => {
        // Where its quota has no room, it is fetched again by whoever asks for it there next.
        quotas.check(repository, size, digest);
        using coming = quotas.coming(repository, size, digest);
        rows.blobs.link(rows.repositories.ensure(repository), digest, size, now());
        coming.keep();
      })
      .catch(() => undefined);
  }

  #start(repository: string, upstream: () => Repository, wanted: Descriptor): Download {
    const path = join(this.#deps.root, "uploads", `${randomHex(16)}.fetch`);
    const growth = new GrowingFile();
    const begun = Promise.withResolvers<void>();
    begun.promise.catch(() => undefined);
    const done = this.#run({ repository, upstream, wanted, path, growth, onBegun: begun.resolve })
      .catch((error: unknown) => {
        growth.fail(error);
        begun.reject(error);
        throw error;
      })
      .finally(() => this.#running.delete(wanted.digest));
    done.catch(() => undefined);
    const download = { path, growth, begun: begun.promise, done };
    this.#running.set(wanted.digest, download);
    return download;
  }

  async #run(task: Task): Promise<void> {
    const { wanted, path, growth, repository } = task;
    const { storage, rows, commits, quotas } = this.#deps;
    using coming = quotas.coming(repository, wanted.size, wanted.digest);
    const algorithm = algorithmOf(wanted.digest);
    await using undo = new AsyncDisposableStack();
    const file = await open(path, "wx", 0o600);
    undo.defer(() => rm(path, { force: true }));
    undo.defer(() => file.close());
    const progress = { file, hasher: new Bun.CryptoHasher(algorithm), offset: 0 };
    const held = await fetchAll(task, progress);
    const found = parseDigest(`${algorithm}:${progress.hasher.digest("hex")}`);
    if (found !== wanted.digest) {
      throw new NaruError(
        "data_loss",
        `the upstream sent ${found} for blob "${wanted.digest}": it was not kept`,
      );
    }
    await file.sync();
    using _held = commits.hold(wanted.digest);
    await storage.adopt(path, wanted.digest, wanted.size);
    rows.transaction(() => {
      rows.blobs.link(rows.repositories.ensure(repository), wanted.digest, wanted.size, now());
    });
    coming.keep();
    growth.grow(held);
  }
}

interface Task {
  readonly repository: string;
  readonly upstream: () => Repository;
  readonly wanted: Descriptor;
  readonly path: string;
  readonly growth: GrowingFile;
  readonly onBegun: () => void;
}

/** Returns the bytes that were not shown yet: the last ones. */
const fetchAll = async (task: Task, progress: Progress): Promise<number> => {
  const { wanted, growth } = task;
  let held = 0;
  const onChunk = (size: number): void => {
    growth.grow(held);
    held = size;
  };
  for (let attempt = 1; ; attempt += 1) {
    const before = progress.offset;
    try {
      await fetchRest(task, progress, onChunk);
      if (progress.offset === wanted.size) return held;
      throw new NaruError("unavailable", `the upstream ended "${wanted.digest}" too early`);
    } catch (error) {
      if (progress.offset > before) attempt = 1;
      const isFinal = !hasCode(error, "unavailable") && !hasCode(error, "internal");
      if (isFinal || attempt >= ATTEMPTS) throw error;
      await sleep(PAUSE_MS * attempt);
    }
  }
};

const fetchRest = async (
  { wanted, upstream, onBegun }: Task,
  progress: Progress,
  onChunk: (size: number) => void,
): Promise<void> => {
  using watch = new StallWatch();
  const body = await upstream().openBlob(wanted, progress.offset, watch.signal);
  onBegun();
  // Where the upstream does no ranges it begins anew: what is here already is passed over.
  let skip = progress.offset - body.offset;
  for await (const part of body.stream) {
    watch.heard();
    const chunk = part.subarray(Math.min(skip, part.length));
    skip -= part.length - chunk.length;
    if (chunk.length === 0) continue;
    if (progress.offset + chunk.length > wanted.size) {
      throw new NaruError("data_loss", `the upstream sent more than "${wanted.digest}" has`);
    }
    progress.hasher.update(chunk);
    await progress.file.write(chunk, 0, chunk.length, progress.offset);
    progress.offset += chunk.length;
    onChunk(chunk.length);
  }
};
