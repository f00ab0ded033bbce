/**
 * Unpacks a plain layer tar while it streams by, into a directory beside the blobs; the snapshot store
 * adopts the directory once it is known which image it belongs to. Runs in the worker.
 */
import { closeSync, constants, mkdirSync, openSync } from "node:fs";
import { basename, dirname } from "node:path";
import { type ErrorCode, toNaruError } from "#lib/errors.ts";
import { TarParser } from "#lib/tar/parser.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import { TreeWriter } from "#snapshot/tree-writer.ts";

export interface StagedFiles {
  readonly directory: string;
  readonly sizeBytes: number;
  readonly isOpaque: boolean;
  readonly hasRootEntry: boolean;
}

/** Something looked like a layer and was none: only an error when an image names it as one. */
export interface StageFailure {
  readonly code: ErrorCode;
  readonly message: string;
}

export type StageResult = StagedFiles | { readonly failure: StageFailure };

const ENTRIES_MAX = 10_000_000;
const DIRECTORY = constants.O_DIRECTORY | constants.O_RDONLY;

export class LayerStage implements Disposable {
  readonly #directory: string;
  readonly #parentFd: number;
  readonly #rootFd: number;
  readonly #writer: TreeWriter;
  readonly #parser: TarParser;
  #failure: StageFailure | undefined;
  #isOpen = true;

  /** `directory` is made; it stays, whatever happens, for whoever owns what it is in. */
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
    this.#try(() => this.#parser.push(bytes));
  }

  finish(): StageResult {
    this.#try(() => {
      this.#parser.end();
      this.#writer.finish();
    });
    this[Symbol.dispose]();
    if (this.#failure !== undefined) return { failure: this.#failure };
    const { sizeBytes, isRootOpaque, hasRootEntry } = this.#writer;
    return { directory: this.#directory, sizeBytes, isOpaque: isRootOpaque, hasRootEntry };
  }

  #try(work: () => void): void {
    if (this.#failure !== undefined) return;
    try {
      work();
    } catch (error) {
      const { code, message } = toNaruError(error);
      this.#failure = { code, message };
    }
  }

  [Symbol.dispose](): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#writer[Symbol.dispose]();
    closeSync(this.#rootFd);
    closeSync(this.#parentFd);
  }
}
