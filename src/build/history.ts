/**
 * Builds that are over: what was asked for, how it ended, and all that was said meanwhile. Kept over restarts and
 * bounded: what is neither pinned nor recent goes, the oldest first. A build's words are a file beside the rows,
 * under the digest of its content: first the file is there, then the row; files without a row are swept.
 */
import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { writeFileAtomic } from "#lib/atomic-file.ts";
import { nowNs } from "#lib/clock.ts";
import type { ErrorCode } from "#lib/errors.ts";
import { NaruError } from "#lib/errors.ts";
import type { BuildHistoryRows } from "#metadata/build-history.ts";
import { type Digest, digestOf, hexOf, isDigest } from "#spec/image/digest.ts";

export interface BuildRecord {
  /** As its client named it. */
  readonly ref: string;
  readonly frontend: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly exporters: readonly {
    readonly type: string;
    readonly attributes: Readonly<Record<string, string>>;
  }[];
  /** undefined: it succeeded. */
  readonly error: { readonly code: ErrorCode; readonly message: string } | undefined;
  readonly startedMs: number;
  readonly completedMs: number;
  /** What its exporters told. */
  readonly response: Readonly<Record<string, string>>;
  readonly isPinned: boolean;
  readonly steps: { readonly total: number; readonly completed: number; readonly cached: number };
  readonly warnings: number;
  readonly log: { readonly digest: Digest; readonly sizeBytes: number };
  /** What is known of its results beside them; a file each, as the log. Absent: nothing. */
  readonly attestations?: readonly HistoryAttestation[];
}

export interface HistoryAttestation {
  /** "linux/amd64": of the result for it. */
  readonly platform: string;
  readonly predicateType: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** One to be kept. */
export interface NewAttestation {
  readonly platform: string;
  readonly predicateType: string;
  readonly content: Uint8Array;
}

/** A blob of the history, by what is read of it. */
export interface HistoryBlob {
  readonly path: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

export const HISTORY_MAX_COUNT = 50;
const HISTORY_MAX_BYTES = 64 * 1024 * 1024;
const HISTORY_MAX_AGE_MS = 48 * 3600 * 1000;
const PINNED_MAX_COUNT = 100;

const blobsOf = ({ log, attestations = [] }: BuildRecord): readonly BuildRecord["log"][] => [
  log,
  ...attestations,
];

const bytesOf = (record: BuildRecord): number =>
  blobsOf(record).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

export class BuildHistory {
  readonly #directory: string;
  readonly #rows: BuildHistoryRows;
  readonly #records = new Map<string, BuildRecord>();

  /** `directory` is made; what lies in it without a row goes. */
  constructor(directory: string, rows: BuildHistoryRows) {
    this.#directory = directory;
    this.#rows = rows;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const { record, isPinned } of rows.all()) {
      const read = JSON.parse(record) as BuildRecord;
      this.#records.set(read.ref, { ...read, isPinned });
    }
    this.#sweep();
  }

  /** Oldest first. */
  list(): readonly BuildRecord[] {
    return [...this.#records.values()];
  }

  find(ref: string): BuildRecord | undefined {
    return this.#records.get(ref);
  }

  /** What is too old or too much goes. */
  add(
    record: Omit<BuildRecord, "log" | "attestations">,
    log: Uint8Array,
    attestations: readonly NewAttestation[] = [],
  ): BuildRecord {
    const whole: BuildRecord = {
      ...record,
      log: this.#keep(log),
      attestations: attestations.map(({ platform, predicateType, content }) => ({
        platform,
        predicateType,
        ...this.#keep(content),
      })),
    };
    const { ref, completedMs, isPinned } = whole;
    const logBytes = bytesOf(whole);
    this.#rows.put({ ref, completedMs, isPinned, logBytes, record: JSON.stringify(whole) });
    this.#records.set(ref, whole);
    this.prune(Number(nowNs() / 1_000_000n));
    return whole;
  }

  /** Nobody waits for the disk here: words that a power cut takes are told as far as they are there. */
  #keep(content: Uint8Array): BuildRecord["log"] {
    const digest = digestOf(content);
    writeFileAtomic(this.#path(digest), content, { isDurable: false });
    return { digest, sizeBytes: content.length };
  }

  /** Throws not_found, and resource_exhausted for too many. */
  setPinned(ref: string, isPinned: boolean): void {
    const record = this.#get(ref);
    const pinned = this.list().filter((one) => one.isPinned).length;
    if (isPinned && !record.isPinned && pinned >= PINNED_MAX_COUNT) {
      const remedy = "unpin or remove one";
      throw new NaruError("resource_exhausted", `${pinned} builds are pinned already: ${remedy}`);
    }
    this.#rows.setPinned(ref, isPinned);
    this.#records.set(ref, { ...record, isPinned });
  }

  /** Throws not_found. */
  remove(ref: string): void {
    this.#get(ref);
    this.#forget([ref]);
  }

  /** undefined for what is not of the history. */
  blob(digest: string): HistoryBlob | undefined {
    if (!isDigest(digest)) return undefined;
    const path = this.#path(digest);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    return { path, sizeBytes: stat.size, modifiedMs: stat.mtimeMs };
  }

  prune(nowMs: number): void {
    let bytes = 0;
    let count = 0;
    const gone: string[] = [];
    for (const record of this.list().toReversed()) {
      const { ref, isPinned, completedMs } = record;
      if (isPinned) continue;
      bytes += bytesOf(record);
      count += 1;
      const isKept =
        count <= HISTORY_MAX_COUNT &&
        bytes <= HISTORY_MAX_BYTES &&
        nowMs - completedMs <= HISTORY_MAX_AGE_MS;
      // The latest stays, whatever its size.
      if (!isKept && count > 1) gone.push(ref);
    }
    if (gone.length > 0) this.#forget(gone);
  }

  #get(ref: string): BuildRecord {
    const record = this.#records.get(ref);
    if (record !== undefined) return record;
    throw new NaruError("not_found", `there is no build "${ref}" in the history`);
  }

  #path(digest: Digest): string {
    return `${this.#directory}/${hexOf(digest)}`;
  }

  /** Rows go first: a file that nobody names is swept. */
  #forget(refs: readonly string[]): void {
    this.#rows.delete(refs);
    for (const ref of refs) this.#records.delete(ref);
    this.#sweep();
  }

  #sweep(): void {
    const needed = new Set(
      this.list()
        .flatMap(blobsOf)
        .map(({ digest }) => hexOf(digest)),
    );
    for (const name of readdirSync(this.#directory)) {
      if (!needed.has(name)) rmSync(`${this.#directory}/${name}`, { force: true });
    }
  }
}
