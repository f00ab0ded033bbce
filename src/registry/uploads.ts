/** Uploads: started, gone on with, finished, cancelled, expired. See registry.ts for the promises. */
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
} from "node:fs";
import { join } from "node:path";
import type { BlobStorage } from "#registry/storage/storage.ts";
import { monotonicMs, now, parseInstant, nowNs, randomHex } from "#lib/clock.ts";
import { NaruError, hasCode } from "#lib/errors.ts";
import type { RegistryRows } from "#metadata/registry/rows.ts";
import type { Commits } from "#registry/commits.ts";
import type { Quotas } from "#registry/quota.ts";
import type { RegistryLimits } from "#registry/limits.ts";
import type { Blob, UploadChunk, UploadStatus, Uploads } from "#registry/registry.ts";
import { type HashAlgorithm, appendTo, hashFile } from "#registry/upload-file.ts";
import { distributionError } from "#spec/distribution/errors.ts";
import { parseDigestParameter, parseRepositoryName } from "#spec/distribution/name.ts";
import { type Digest, algorithmOf, parseDigest } from "#spec/image/digest.ts";

export interface UploadDependencies {
  /** `uploads/` is made in it. */
  readonly root: string;
  readonly storage: BlobStorage;
  readonly rows: RegistryRows;
  readonly limits: RegistryLimits;
  /** Asked before bytes are taken and again when they are all there. */
  readonly quotas: Quotas;
  readonly commits: Commits;
}

interface Session {
  readonly id: string;
  readonly repository: string;
  readonly path: string;
  algorithm: HashAlgorithm;
  /** undefined: unknown (after a restart, a failed write); hashed from the file when it is needed. */
  hasher: Bun.CryptoHasher | undefined;
  offset: number;
  isBusy: boolean;
  isPersistent: boolean;
  usedAtMs: number;
}

const ID = /^[0-9a-f]{32}$/;

const unknown = (id: string) =>
  distributionError(
    "BLOB_UPLOAD_UNKNOWN",
    `upload ${JSON.stringify(id.slice(0, 80))} does not exist: it was finished, cancelled or has expired`,
  );

export class UploadSessions implements Uploads {
  readonly #deps: UploadDependencies;
  readonly #directory: string;
  readonly #sessions = new Map<string, Session>();

  /** Sweeps files that no row speaks of and takes up again those that one does. */
  constructor(deps: UploadDependencies) {
    this.#deps = deps;
    this.#directory = join(deps.root, "uploads");
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    const known = new Map(deps.rows.uploads.all().map((row) => [row.id, row]));
    for (const name of readdirSync(this.#directory)) {
      if (!known.has(name)) rmSync(join(this.#directory, name), { force: true });
    }
    for (const row of known.values()) this.#restore(row);
    this.expire();
  }

  #restore(row: ReturnType<RegistryRows["uploads"]["all"]>[number]): void {
    const path = join(this.#directory, row.id);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) {
      this.#deps.rows.uploads.remove(row.id);
      return;
    }
    const ageMs = Number(nowNs() / 1_000_000n) - stat.mtimeMs;
    const startedMs = Number((nowNs() - parseInstant(row.startedAt)) / 1_000_000n);
    this.#sessions.set(row.id, {
      id: row.id,
      repository: row.repository,
      path,
      algorithm: row.algorithm,
      hasher: undefined,
      offset: stat.size,
      isBusy: false,
      isPersistent: true,
      usedAtMs: monotonicMs() - Math.max(0, Math.min(ageMs, startedMs)),
    });
  }

  get count(): number {
    return this.#sessions.size;
  }

  #open(repository: string, algorithm: HashAlgorithm, isPersistent: boolean): Session {
    const { rows, limits, quotas } = this.#deps;
    parseRepositoryName(repository);
    if (this.#sessions.size >= limits.maxUploads) {
      throw distributionError(
        "TOOMANYREQUESTS",
        `${limits.maxUploads} uploads are open already: finish or cancel some, or try again later`,
        { details: { retryAfterSeconds: 10 } },
      );
    }
    quotas.check(repository, 0);
    const id = randomHex(16);
    const path = join(this.#directory, id);
    closeSync(openSync(path, "wx", 0o600));
    const session: Session = {
      id,
      repository,
      path,
      algorithm,
      hasher: new Bun.CryptoHasher(algorithm),
      offset: 0,
      isBusy: false,
      isPersistent,
      usedAtMs: monotonicMs(),
    };
    if (isPersistent) rows.uploads.add({ id, repository, algorithm, startedAt: now() });
    this.#sessions.set(id, session);
    return session;
  }

  #find(repository: string, id: string): Session {
    const session = ID.test(id) ? this.#sessions.get(id) : undefined;
    if (session === undefined || session.repository !== repository) throw unknown(id);
    return session;
  }

  start(repository: string, algorithm = "sha256"): UploadStatus {
    if (algorithm !== "sha256" && algorithm !== "sha512") {
      throw distributionError(
        "DIGEST_INVALID",
        `digest algorithm ${JSON.stringify(algorithm.slice(0, 80))} is not supported: use sha256 or sha512`,
      );
    }
    return statusOf(this.#open(repository, algorithm, true));
  }

  status(repository: string, id: string): UploadStatus {
    return statusOf(this.#find(repository, id));
  }

  async append(repository: string, id: string, chunk: UploadChunk): Promise<UploadStatus> {
    const session = this.#find(repository, id);
    await this.#exclusively(session, () => this.#take(session, chunk));
    return statusOf(session);
  }

  async finish(
    repository: string,
    id: string,
    digest: string,
    chunk: UploadChunk | undefined,
  ): Promise<Blob> {
    const wanted = parseDigestParameter(digest);
    const session = this.#find(repository, id);
    return this.#exclusively(session, async () => {
      if (chunk !== undefined) await this.#take(session, chunk, wanted);
      return this.#commit(session, wanted);
    });
  }

  async whole(repository: string, digest: string, chunk: UploadChunk): Promise<Blob> {
    const wanted = parseDigestParameter(digest);
    const session = this.#open(repository, algorithmOf(wanted), false);
    try {
      return await this.#exclusively(session, async () => {
        await this.#take(session, chunk, wanted);
        return this.#commit(session, wanted);
      });
    } finally {
      this.#forget(session);
    }
  }

  async cancel(repository: string, id: string): Promise<void> {
    const session = this.#find(repository, id);
    await this.#exclusively(session, () => Promise.resolve(this.#forget(session)));
  }

  /** Removes those that nobody wrote to for the time of the limits. Returns how many. */
  expire(): number {
    const oldest = monotonicMs() - this.#deps.limits.uploadExpiryMs;
    const expired = [...this.#sessions.values()].filter((s) => !s.isBusy && s.usedAtMs < oldest);
    for (const session of expired) this.#forget(session);
    return expired.length;
  }

  async #exclusively<T>(session: Session, work: () => Promise<T>): Promise<T> {
    if (session.isBusy) {
      throw distributionError(
        "BLOB_UPLOAD_INVALID",
        `another request is writing to upload "${session.id}": wait for it, then ask how far it came`,
        { status: 409 },
      );
    }
    session.isBusy = true;
    try {
      return await work();
    } finally {
      session.isBusy = false;
      session.usedAtMs = monotonicMs();
    }
  }

  #checkOrder(session: Session, { firstByte }: UploadChunk): void {
    if (firstByte === undefined || firstByte === session.offset) return;
    throw distributionError(
      "BLOB_UPLOAD_INVALID",
      `the chunk begins at byte ${firstByte}, but upload "${session.id}" goes on at byte ${session.offset}`,
      { status: 416, details: { upload: statusOf(session) } },
    );
  }

  /** `wanted`: the whole's digest, where it is known by now. */
  async #take(session: Session, chunk: UploadChunk, wanted?: Digest): Promise<void> {
    const { limits, quotas } = this.#deps;
    this.#checkOrder(session, chunk);
    const { lengthBytes } = chunk;
    const room = limits.maxBlobBytes - session.offset;
    if (lengthBytes !== undefined && lengthBytes > room) {
      throw distributionError(
        "SIZE_INVALID",
        `blobs may have ${limits.maxBlobBytes} bytes, this one would have ${session.offset + lengthBytes}`,
        { status: 413 },
      );
    }
    quotas.check(session.repository, session.offset + (lengthBytes ?? 0), wanted);
    session.hasher ??= await hashFile(session.path, session.algorithm);
    const { hasher, path, offset } = session;
    const limitBytes = lengthBytes ?? room;
    let taken = 0;
    try {
      await appendTo(
        { path, offset, limitBytes, hasher, onBytes: (size) => void (taken += size) },
        chunk.source,
      );
      session.offset = offset + taken;
    } catch (error) {
      this.#recover(session, offset, taken);
      throw diskError(error);
    }
    if (lengthBytes === undefined || taken === lengthBytes) return;
    throw distributionError(
      "SIZE_INVALID",
      `the chunk was announced with ${lengthBytes} bytes, ${taken} arrived`,
    );
  }

  /** The file tells what was really written: it may be less than what was hashed. */
  #recover(session: Session, before: number, taken: number): void {
    const size = statSync(session.path, { throwIfNoEntry: false })?.size ?? 0;
    if (size !== before + taken) session.hasher = undefined;
    if (size < before) truncateSync(session.path, before);
    session.offset = Math.max(size, before);
  }

  async #commit(session: Session, wanted: Digest): Promise<Blob> {
    const { storage, rows, quotas, commits } = this.#deps;
    const algorithm = algorithmOf(wanted);
    if (session.hasher === undefined || session.algorithm !== algorithm) {
      session.hasher = await hashFile(session.path, algorithm);
      session.algorithm = algorithm;
    }
    const found = parseDigest(`${algorithm}:${session.hasher.digest("hex")}`);
    // It gives its digest once.
    session.hasher = undefined;
    if (found !== wanted) {
      this.#forget(session);
      throw distributionError(
        "DIGEST_INVALID",
        `the ${session.offset} bytes that arrived have digest ${found}, not ${wanted}: upload them again`,
      );
    }
    const sizeBytes = session.offset;
    quotas.check(session.repository, sizeBytes, wanted);
    using coming = quotas.coming(session.repository, sizeBytes, wanted);
    using _held = commits.hold(wanted);
    await storage.adopt(session.path, wanted, sizeBytes);
    rows.transaction(() => {
      const repositoryId = rows.repositories.ensure(session.repository);
      rows.blobs.link(repositoryId, wanted, sizeBytes, now());
      if (session.isPersistent) rows.uploads.remove(session.id);
    });
    this.#sessions.delete(session.id);
    coming.keep();
    return { digest: wanted, sizeBytes, path: "", ...storage.locate(wanted) };
  }

  #forget(session: Session): void {
    if (!this.#sessions.delete(session.id)) return;
    if (session.isPersistent) this.#deps.rows.uploads.remove(session.id);
    rmSync(session.path, { force: true });
  }
}

const statusOf = ({ id, repository, offset }: Session): UploadStatus => ({
  id,
  repository,
  offsetBytes: offset,
});

const diskError = (error: unknown): unknown => {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (hasCode(error, "canceled") || (code !== "ENOSPC" && code !== "EDQUOT")) return error;
  return new NaruError(
    "resource_exhausted",
    "the registry's disk is full: free some space there and try again; the upload goes on where it is",
    { cause: error, details: { status: 507 } },
  );
};
