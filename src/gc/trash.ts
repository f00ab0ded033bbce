/**
 * What `rm` and `prune` took away, for as long as it can be brought back. Rows are the truth: this holds nothing.
 * One undo or purge at a time.
 */
import { formatInstant, nowNs, parseInstant } from "#lib/clock.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { KeyedQueue } from "#lib/keyed-queue.ts";
import type { Logger } from "#lib/log.ts";
import type { TrashKind, TrashRow, TrashRows, TrashSource } from "#metadata/trash.ts";

export interface TrashOptions {
  readonly rows: TrashRows;
  readonly sources: readonly TrashSource[];
  readonly undoTimeMs: number;
  /** Removes layers that nothing needs any more: those of images that a container in the trash held. */
  readonly collect: () => Promise<unknown>;
  readonly log: Logger;
}

export interface TrashItem {
  readonly id: string;
  readonly batch: string;
  readonly kind: TrashKind;
  readonly key: string;
  readonly name: string;
  readonly removedAt: string;
  readonly expiresAt: string;
  /** What it holds that nothing else needs. */
  readonly sizeBytes: number;
}

export interface UndoResult {
  readonly restored: readonly { readonly kind: TrashKind; readonly name: string }[];
  /** What could not be brought back, and why; it stays in the trash. */
  readonly failed: readonly {
    readonly kind: TrashKind;
    readonly name: string;
    readonly error: string;
  }[];
}

/** Containers stand on images and volumes. */
const ORDER: readonly TrashKind[] = ["image", "volume", "container"];

const isMeant = (row: TrashRow, selector: string): boolean => {
  const key = row.key.replace(/^sha256:/, "");
  const isPrefix =
    selector.length >= 4 && (row.id.startsWith(selector) || key.startsWith(selector));
  return isPrefix || row.key === selector || row.name === selector;
};

export class Trash {
  readonly #options: TrashOptions;
  readonly #queue = new KeyedQueue();

  constructor(options: TrashOptions) {
    this.#options = options;
  }

  /** Newest first. Walks the trees for their sizes. */
  async list(): Promise<TrashItem[]> {
    const items: TrashItem[] = [];
    for (const row of this.#options.rows.all()) {
      const { record: _record, ...shown } = row;
      // oxlint-disable-next-line no-await-in-loop -- one tree after the other keeps it gentle
      const sizeBytes = await this.#sizeOf(row);
      items.push({ ...shown, expiresAt: formatInstant(this.#expiryNs(row)), sizeBytes });
    }
    return items;
  }

  /**
   * Brings back what one command removed: the last one's, or, with `selector` (an id, the beginning of one, or a
   * name), that object and what went along with it. Throws not_found, and the reason when nothing came back.
   */
  undo(selector?: string): Promise<UndoResult> {
    return this.#queue.run("trash", async () => {
      const chosen = this.#select(selector);
      const restored: { kind: TrashKind; name: string }[] = [];
      const failed: { kind: TrashKind; name: string; error: string }[] = [];
      let first: unknown;
      for (const row of chosen) {
        const { kind, name } = row;
        try {
          // oxlint-disable-next-line no-await-in-loop -- in order: a container needs its volumes
          await this.#source(kind).undo(row);
          restored.push({ kind, name });
        } catch (error) {
          first ??= error;
          failed.push({ kind, name, error: toNaruError(error).message });
        }
      }
      if (restored.length === 0) throw first;
      return { restored, failed };
    });
  }

  /** Everything in it goes for good. Resolves to how many things and bytes that were. */
  empty(): Promise<{ count: number; sizeBytes: number }> {
    return this.#purge(this.#options.rows.all());
  }

  /** What was removed longer ago than the undo time goes for good. */
  sweep(): Promise<{ count: number; sizeBytes: number }> {
    const now = nowNs();
    return this.#purge(this.#options.rows.all().filter((row) => this.#expiryNs(row) <= now));
  }

  /** One thing goes for good. Not there any more is no error. */
  async drop(id: string): Promise<void> {
    await this.#purge(this.#options.rows.all().filter((row) => row.id === id));
  }

  #expiryNs(row: TrashRow): bigint {
    return parseInstant(row.removedAt) + BigInt(this.#options.undoTimeMs) * 1_000_000n;
  }

  #source(kind: TrashKind): TrashSource {
    const source = this.#options.sources.find((candidate) => candidate.kind === kind);
    if (source === undefined) throw new Error(`no room owns removed objects of kind "${kind}"`);
    return source;
  }

  #select(selector: string | undefined): TrashRow[] {
    const rows = this.#options.rows.all();
    const byOrder = (a: TrashRow, b: TrashRow): number =>
      ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind);
    if (selector === undefined) {
      const last = rows[0]?.batch;
      if (last === undefined) {
        const reason = this.#options.rows.isOn
          ? "nothing was removed that could be brought back"
          : 'nothing is kept of what is removed: start the daemon with "undo-time", such as 24h';
        throw new NaruError("not_found", reason);
      }
      return rows.filter(({ batch }) => batch === last).toSorted(byOrder);
    }
    const row = rows.find((candidate) => isMeant(candidate, selector));
    if (row === undefined) {
      throw new NaruError("not_found", `"${selector}" is not in the trash: see naru undo list`);
    }
    const along = rows.filter(({ batch, kind }) => batch === row.batch && kind !== row.kind);
    return [row, ...along].toSorted(byOrder);
  }

  #purge(rows: readonly TrashRow[]): Promise<{ count: number; sizeBytes: number }> {
    return this.#queue.run("trash", async () => {
      let [count, total] = [0, 0];
      // What stands on other things goes first.
      const ordered = rows.toSorted((a, b) => ORDER.indexOf(b.kind) - ORDER.indexOf(a.kind));
      for (const row of ordered) {
        // oxlint-disable-next-line no-await-in-loop -- one tree after the other keeps it gentle
        const sizeBytes = await this.#sizeOf(row);
        // oxlint-disable-next-line no-await-in-loop -- as above
        await this.#source(row.kind).purge(row);
        count += 1;
        total += sizeBytes;
      }
      if (count > 0) await this.#options.collect();
      return { count, sizeBytes: total };
    });
  }

  /** What is not there any more counts nothing. */
  async #sizeOf(row: TrashRow): Promise<number> {
    try {
      return await this.#source(row.kind).sizeBytes(row);
    } catch (error) {
      this.#options.log.debug("could not measure something removed", {
        name: row.name,
        error: String(error),
      });
      return 0;
    }
  }
}
