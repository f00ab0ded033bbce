/** Batches of records from all files of a log, oldest first, and what is added while following. */
import { closeSync } from "node:fs";
import { dirname } from "node:path";
import { type OpenLogFile, currentIdentity, openLogFiles } from "#log/files.ts";
import type { LogReadOptions } from "#log/log.ts";
import { type LogBatch, LogScanner } from "#log/scanner.ts";
import { findTail, type LogPosition } from "#log/tail.ts";
import { readAt } from "#log/read-at.ts";
import { LogWatcher } from "#log/watch.ts";

const BLOCK_BYTES = 256 * 1024;
/** Without a newline in so much it is no log: it is passed on in pieces. */
const MAX_RECORD_BYTES = 1024 * 1024;

/** Reads one file forward. The unfinished end of a block goes to the front of the next one. */
class FileCursor {
  readonly #file: OpenLogFile;
  readonly #scanner: LogScanner;
  #offset: number;
  #block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #rest = 0;

  constructor(file: OpenLogFile, scanner: LogScanner, offset: number) {
    this.#file = file;
    this.#scanner = scanner;
    this.#offset = offset;
  }

  /** Batches up to `limit` bytes of the file or its end. `isWhole`: nobody will add to it. */
  async *batches(limit: number, isWhole: boolean): AsyncGenerator<LogBatch> {
    for (;;) {
      const room = Math.min(this.#block.length - this.#rest, limit - this.#offset);
      const bytesRead =
        room <= 0 ? 0 : await readAt(this.#file.fd, this.#block, this.#rest, room, this.#offset);
      if (bytesRead === 0 && !isWhole) return;
      this.#offset += bytesRead;
      const length = this.#rest + bytesRead;
      if (length === 0) return;
      const isEnd = bytesRead === 0 || length >= MAX_RECORD_BYTES;
      const { batch, rest } = this.#scanner.scan(this.#block, length, isEnd);
      this.#keep(length, rest);
      if (batch.count > 0) yield batch;
      if (bytesRead === 0) return;
    }
  }

  /** Consumers may hold on to the old block, so the rest goes into a new one. */
  #keep(length: number, rest: number): void {
    const isTight = rest > BLOCK_BYTES / 2;
    const next = Buffer.allocUnsafeSlow(isTight ? this.#block.length * 2 : BLOCK_BYTES);
    this.#block.copy(next, 0, length - rest, length);
    this.#block = next;
    this.#rest = rest;
  }
}

/** Compressed files as files that can be read from anywhere; on a failure none stays open. */
const expandAll = async (files: readonly OpenLogFile[], path: string): Promise<OpenLogFile[]> => {
  if (!files.some(({ isCompressed }) => isCompressed)) return [...files];
  const { expandFile } = await import("#log/compressed.ts");
  const outcomes = await Promise.allSettled(files.map((file) => expandFile(file, dirname(path))));
  const open = outcomes.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  for (const one of outcomes) {
    if (one.status === "fulfilled") continue;
    closeAll(open);
    throw one.reason;
  }
  return open;
};

/** All files and where reading begins. What the last lines do not reach is not expanded. */
const openFrom = async (
  options: LogReadOptions,
): Promise<{ files: readonly OpenLogFile[]; start: LogPosition }> => {
  const { path, tail } = options;
  const opened = openLogFiles(path);
  if (tail === undefined) {
    return { files: await expandAll(opened, path), start: { file: 0, offset: 0 } };
  }
  const wanted = { lines: tail, stdout: options.stdout, stderr: options.stderr };
  const plain = opened.slice(opened.findLastIndex((file) => file.isCompressed) + 1);
  const near = findTail(plain, wanted);
  if (plain.length === opened.length || near.file > 0 || near.offset > 0) {
    closeAll(opened.slice(0, opened.length - plain.length));
    return { files: plain, start: near };
  }
  const files = await expandAll(opened, path);
  return { files, start: findTail(files, wanted) };
};

/** Closes what is left of the queue. */
const closeAll = (files: Iterable<OpenLogFile>): void => {
  for (const file of files) closeSync(file.fd);
};

async function* readSnapshot(
  files: readonly OpenLogFile[],
  first: number,
  offset: number,
): AsyncGenerator<LogBatch> {
  const scanner = new LogScanner();
  for (const [index, file] of files.entries()) {
    if (index < first) continue;
    const cursor = new FileCursor(file, scanner, index === first ? offset : 0);
    yield* cursor.batches(file.size, true);
  }
}

const NOTHING: LogBatch = {
  block: Buffer.alloc(0),
  count: 0,
  starts: new Int32Array(),
  contents: new Int32Array(),
  ends: new Int32Array(),
  flags: new Uint8Array(),
};

/** Goes on until nobody writes any more. */
async function* followFiles(
  path: string,
  opened: readonly OpenLogFile[],
  start: { readonly file: number; readonly offset: number },
  watcher: LogWatcher,
): AsyncGenerator<LogBatch> {
  const scanner = new LogScanner();
  let queue: OpenLogFile[] = opened.slice(start.file);
  closeAll(opened.slice(0, start.file));
  let offset = start.offset;
  let last: string | undefined;
  try {
    for (;;) {
      const file = queue[0];
      if (file === undefined) {
        const isOver = watcher.isOver;
        queue = await expandAll(openLogFiles(path, last), path);
        if (queue.length > 0) continue;
        if (isOver) return;
        await watcher.changed();
        continue;
      }
      const cursor = new FileCursor(file, scanner, offset);
      offset = 0;
      yield* followOne(path, file, cursor, queue.length === 1, watcher);
      last = file.identity;
      closeSync(file.fd);
      queue.shift();
      if (watcher.isOver && queue.length === 0 && currentIdentity(path) === last) return;
    }
  } finally {
    closeAll(queue);
  }
}

/** One file until it is replaced, or nobody writes any more. */
async function* followOne(
  path: string,
  file: OpenLogFile,
  cursor: FileCursor,
  isNewest: boolean,
  watcher: LogWatcher,
): AsyncGenerator<LogBatch> {
  const everything = Number.POSITIVE_INFINITY;
  if (isNewest) {
    for (;;) {
      // Both are asked before the reading: what is written before them is read by it.
      const isOver = watcher.isOver;
      // conmon closes the old file before the new one appears.
      const current = currentIdentity(path);
      const isReplaced = current !== undefined && current !== file.identity;
      yield* cursor.batches(everything, false);
      if (isOver || isReplaced) break;
      yield NOTHING;
      await watcher.changed();
    }
  }
  yield* cursor.batches(everything, true);
}

/**
 * A batch of no records means: everything written so far has been given. The generator's `return`
 * closes all files.
 */
export async function* readBatches(options: LogReadOptions): AsyncGenerator<LogBatch> {
  const { path, signal } = options;
  if (signal?.aborted === true) return;
  // Watched before it is opened: no change is missed.
  using watcher = options.follow === true ? new LogWatcher(path) : undefined;
  const { files, start } = await openFrom(options);
  let isAborted = false;
  const onClosed = (): void => watcher?.end();
  const onAbort = (): void => {
    isAborted = true;
    watcher?.end();
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  options.closed?.then(onClosed, onClosed);
  try {
    const batches =
      watcher === undefined
        ? readSnapshot(files, start.file, start.offset)
        : followFiles(path, files, start, watcher);
    for await (const batch of batches) {
      if (isAborted) return;
      yield batch;
    }
  } finally {
    signal?.removeEventListener("abort", onAbort);
    if (watcher === undefined) closeAll(files);
  }
}
