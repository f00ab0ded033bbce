/** What a TreeWriter is told: where to write, and by which rules. */
import type { FileKernel } from "#kernel/kernel.ts";

export interface TreeWriterOptions {
  readonly kernel: FileKernel;
  /** Any open descriptor of the root directory; stays the caller's. */
  readonly rootFd: number;
  /**
   * A layer goes into a new directory of our own and its `.wh.` names become overlay whiteouts. Any
   * other archive goes into a tree that exists, and such names are names like any other.
   */
  readonly isLayer: boolean;
  /** Archives: directory (relative to the root) that entries and hard links are relative to. */
  readonly base?: string;
  /** Layers: the entry of the root itself sets the root's own mode and owner. Else it is skipped. */
  readonly root?: { readonly parentFd: number; readonly name: string };
  /** Refuse to replace a directory by something else, and the other way round. */
  readonly noOverwriteDirNonDir?: boolean;
  /** Owner of everything written, instead of what the archive says. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly maxEntries?: number;
}
