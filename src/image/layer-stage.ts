/**
 * Makes a layer of a plain layer tar while it streams by, in a directory beside the blobs; the snapshot store
 * adopts it once it is known which image it belongs to. Runs in the worker.
 */
import { closeSync, constants, mkdirSync, openSync, readSync, rmSync } from "node:fs";
import { basename, dirname } from "node:path";
import { type ErrorCode, toNaruError } from "#lib/errors.ts";
import { TarParser } from "#lib/tar/parser.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import { IndexWriter } from "#snapshot/index-writer.ts";
import type { LayerForm } from "#snapshot/layer-form.ts";
import type { StagedLayer } from "#snapshot/snapshot.ts";
import { TreeWriter } from "#snapshot/tree-writer.ts";

export type StagedFiles = Omit<StagedLayer, "parent" | "diffId">;

/** Something looked like a layer and was none: only an error when an image names it as one. */
export interface StageFailure {
  readonly code: ErrorCode;
  readonly message: string;
}

export type StageResult = StagedFiles | { readonly failure: StageFailure };

export interface LayerStageOptions {
  readonly kernel: FileKernel;
  /** Made; it stays, whatever happens, for whoever owns what it is in. */
  readonly directory: string;
  readonly form: LayerForm;
  /** A file that holds what is pushed and never changes. Absent: an indexed layer keeps its own. */
  readonly tar?: string;
}

/** One way of making a layer. What it throws is the layer's failure. */
interface Maker extends Disposable {
  push(bytes: Uint8Array): void;
  finish(): StagedFiles;
}

const ENTRIES_MAX = 10_000_000;
const DIRECTORY = constants.O_DIRECTORY | constants.O_RDONLY;
const CHUNK_BYTES = 1024 * 1024;

class DirectoryMaker implements Maker {
  readonly #directory: string;
  readonly #parentFd: number;
  readonly #rootFd: number;
  readonly #writer: TreeWriter;
  readonly #parser: TarParser;

  constructor(directory: string, kernel: FileKernel) {
    mkdirSync(directory, 0o755);
    this.#directory = directory;
    this.#parentFd = openSync(dirname(directory), DIRECTORY);
    this.#rootFd = openSync(directory, DIRECTORY);
    this.#writer = new TreeWriter({
      kernel,
      rootFd: this.#rootFd,
      isLayer: true,
      root: { parentFd: this.#parentFd, name: basename(directory) },
      maxEntries: ENTRIES_MAX,
    });
    this.#parser = new TarParser(this.#writer);
  }

  push(bytes: Uint8Array): void {
    this.#parser.push(bytes);
  }

  finish(): StagedFiles {
    this.#parser.end();
    this.#writer.finish();
    const { sizeBytes, isRootOpaque, hasRootEntry } = this.#writer;
    const directory = this.#directory;
    return { form: "directory", directory, sizeBytes, isOpaque: isRootOpaque, hasRootEntry };
  }

  [Symbol.dispose](): void {
    this.#writer[Symbol.dispose]();
    closeSync(this.#rootFd);
    closeSync(this.#parentFd);
  }
}

class IndexMaker implements Maker {
  readonly #options: LayerStageOptions;
  readonly #writer: IndexWriter;

  constructor(options: LayerStageOptions) {
    const { directory, tar } = options;
    this.#options = options;
    this.#writer = new IndexWriter({
      directory,
      maxEntries: ENTRIES_MAX,
      ...(tar === undefined ? {} : { tar }),
    });
  }

  push(bytes: Uint8Array): void {
    this.#writer.push(bytes);
  }

  finish(): StagedFiles {
    const { directory } = this.#options;
    const written = this.#writer.finish();
    if (written === undefined) return this.#unpack();
    const { sizeBytes, isOpaque, hasRootEntry, root } = written;
    return { form: "erofs", directory, sizeBytes, isOpaque, hasRootEntry, root };
  }

  /** No index can show it. */
  #unpack(): StagedFiles {
    const { directory, kernel } = this.#options;
    using maker = new DirectoryMaker(`${directory}/diff`, kernel);
    const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    const fd = openSync(this.#writer.tarPath, "r");
    try {
      for (;;) {
        const count = readSync(fd, buffer, 0, buffer.length, null);
        if (count === 0) break;
        maker.push(buffer.subarray(0, count));
      }
    } finally {
      closeSync(fd);
    }
    rmSync(this.#writer.tarPath);
    return maker.finish();
  }

  [Symbol.dispose](): void {
    this.#writer[Symbol.dispose]();
  }
}

export class LayerStage implements Disposable {
  readonly #maker: Maker;
  #failure: StageFailure | undefined;
  #isOpen = true;

  constructor(options: LayerStageOptions) {
    const { form, directory, kernel } = options;
    this.#maker =
      form === "erofs" ? new IndexMaker(options) : new DirectoryMaker(directory, kernel);
  }

  push(bytes: Uint8Array): void {
    this.#try(() => this.#maker.push(bytes));
  }

  finish(): StageResult {
    const staged = this.#try(() => this.#maker.finish());
    this[Symbol.dispose]();
    if (this.#failure !== undefined) return { failure: this.#failure };
    return staged ?? { failure: { code: "internal", message: "nothing was made" } };
  }

  #try<T>(work: () => T): T | undefined {
    if (this.#failure !== undefined) return undefined;
    try {
      return work();
    } catch (error) {
      const { code, message } = toNaruError(error);
      this.#failure = { code, message };
      return undefined;
    }
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#maker[Symbol.dispose]();
  }
}
