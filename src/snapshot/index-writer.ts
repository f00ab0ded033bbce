/**
 * Makes a layer of the form `erofs` while its plain tar streams by: the tar is kept, the index is written at the
 * end. Synchronous: it stands in child processes, as TreeWriter does.
 */
import { closeSync, linkSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import type { TarEntry } from "#lib/tar/entry.ts";
import { TarParser } from "#lib/tar/parser.ts";
import { diskError } from "#snapshot/disk-error.ts";
import { INDEX_FILE, type RootAttributes, TAR_FILE } from "#snapshot/layer-form.ts";
import { LayerTree } from "#snapshot/layer-tree.ts";
import { erofsImage } from "#spec/erofs/image.ts";

export interface IndexWriterOptions {
  /** Made by this call, for both files. It stays, whatever happens, for whoever owns what it is in. */
  readonly directory: string;
  /**
   * A file that holds, or will at the end, the very bytes that are pushed, and never changes: it gets a second
   * name. Absent: the bytes are written.
   */
  readonly tar?: string;
  readonly maxEntries: number;
}

export interface WrittenIndex {
  readonly sizeBytes: number;
  readonly entries: number;
  readonly skippedXattrs: number;
  readonly isOpaque: boolean;
  readonly hasRootEntry: boolean;
  readonly root: RootAttributes;
}

/** From here on the tree would take too much memory: the layer is unpacked instead. */
const INDEXED_ENTRIES_MAX = 500_000;

export class IndexWriter implements Disposable {
  readonly #options: IndexWriterOptions;
  readonly #tree: LayerTree;
  readonly #parser: TarParser;
  #fd: number;
  #tarBytes = 0;

  constructor(options: IndexWriterOptions) {
    this.#options = options;
    const maxEntries = Math.min(options.maxEntries, INDEXED_ENTRIES_MAX);
    this.#tree = new LayerTree({ maxEntries: options.maxEntries, indexedEntries: maxEntries });
    this.#parser = new TarParser(this.#tree);
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    this.#fd = options.tar === undefined ? openSync(this.tarPath, "wx", 0o600) : -1;
  }

  get tarPath(): string {
    return `${this.#options.directory}/${TAR_FILE}`;
  }

  /** What is being read, for messages. */
  get entryName(): string {
    return this.#parser.entryName;
  }

  push(bytes: Uint8Array): void {
    this.#parser.push(bytes);
    this.append(bytes);
  }

  /** No index can show this layer: the rest need not come. */
  get isUnsuited(): boolean {
    return this.#tree.unsuited !== undefined;
  }

  /** An entry of a tar that this process packs itself: `append` brings the bytes, and nothing is parsed. */
  entry(entry: TarEntry, dataOffset: number): void {
    this.#tree.entry(entry, dataOffset);
  }

  append(bytes: Uint8Array): void {
    this.#tarBytes += bytes.length;
    if (this.#fd === -1) return;
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at, bytes.length - at);
    } catch (error) {
      throw diskError(error);
    }
  }

  /** undefined: no index can show this layer; the tar is whole and can be unpacked. */
  finish(): WrittenIndex | undefined {
    this.#parser.end();
    const { directory, tar } = this.#options;
    const tree = this.#tree;
    try {
      if (tar !== undefined) linkSync(tar, this.tarPath);
      if (tree.unsuited !== undefined) return undefined;
      const image = erofsImage(tree.root, this.#tarBytes);
      writeFileSync(`${directory}/${INDEX_FILE}`, image, { mode: 0o600, flag: "wx" });
    } catch (error) {
      throw diskError(error);
    } finally {
      this[Symbol.dispose]();
    }
    const { sizeBytes, entries, skippedXattrs, isRootOpaque: isOpaque, hasRootEntry } = tree;
    const { mode, uid, gid } = tree.root;
    const root = { mode: mode & 0o7777, uid, gid };
    return { sizeBytes, entries, skippedXattrs, isOpaque, hasRootEntry, root };
  }

  [Symbol.dispose](): void {
    if (this.#fd !== -1) closeSync(this.#fd);
    this.#fd = -1;
  }
}
