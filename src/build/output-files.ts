/**
 * Results as plain files: one at the root, or each in a directory of its own, with documents beside them. What is
 * written beside a result takes the place of a file of that name.
 */
import type { ResultFiles, ResultNode } from "#build/result-files.ts";
import { goFileMode } from "#snapshot/archive.ts";
import { plainEntry } from "#lib/tar/entry.ts";
import { TAR_END, tarHeader, tarPadding } from "#lib/tar/writer.ts";

export interface OutputDocument {
  /** Without a directory. */
  readonly name: string;
  readonly text: string;
}

export interface OutputPart {
  /** "" for the root itself. */
  readonly directory: string;
  readonly files: ResultFiles;
  readonly documents: readonly OutputDocument[];
}

const DIRECTORY_MODE = 0o755;
const DOCUMENT_MODE = 0o600;

/** Go's os.ModeSymlink; beyond what JavaScript's bit operators hold. */
const isSymlink = ({ goMode }: ResultNode): boolean => Math.trunc(goMode / 2 ** 27) % 2 === 1;

const firstName = (path: string): string => path.split("/", 1)[0] ?? "";

const bytesOf = ({ text }: OutputDocument): Buffer => Buffer.from(text);

export class OutputFiles {
  readonly #parts: readonly OutputPart[];
  readonly #modifiedSeconds: number;

  /** `modifiedSeconds`: of what is made here. The parts stay their owner's. */
  constructor(parts: readonly OutputPart[], modifiedSeconds: number) {
    // In the order of a walk, which whoever receives them relies on.
    this.#parts = parts.toSorted((a, b) => (a.directory < b.directory ? -1 : 1));
    this.#modifiedSeconds = modifiedSeconds;
  }

  /** Directories before their content, names in order. */
  *nodes(): Generator<ResultNode, void> {
    for (const part of this.#parts) {
      const prefix = part.directory === "" ? "" : `${part.directory}/`;
      if (prefix !== "") yield this.#made(part.directory, goFileMode(0o040000 | DIRECTORY_MODE), 0);
      const waiting = part.documents.toSorted((a, b) => (a.name < b.name ? -1 : 1));
      const names = new Set(waiting.map(({ name }) => name));
      const document = (one: OutputDocument): ResultNode =>
        this.#made(
          `${prefix}${one.name}`,
          goFileMode(0o100000 | DOCUMENT_MODE),
          bytesOf(one).length,
        );
      for (const node of part.files.nodes()) {
        const first = firstName(node.path);
        for (let next = waiting[0]; next !== undefined && next.name <= first; next = waiting[0]) {
          waiting.shift();
          yield document(next);
        }
        if (names.has(first)) continue;
        const isHardLink = node.link !== "" && !isSymlink(node);
        const link = isHardLink ? `${prefix}${node.link}` : node.link;
        yield { ...node, path: `${prefix}${node.path}`, link };
      }
      for (const next of waiting) yield document(next);
    }
  }

  /** Content of a path that `nodes` gave. */
  *read(path: string): Generator<Uint8Array, void> {
    for (const { directory, files, documents } of this.#parts) {
      const prefix = directory === "" ? "" : `${directory}/`;
      if (!path.startsWith(prefix)) continue;
      const own = path.slice(prefix.length);
      const document = documents.find(({ name }) => name === own);
      if (document === undefined) yield* files.read(own);
      else yield bytesOf(document);
      return;
    }
  }

  /** One tar of everything. */
  async *tar(): AsyncGenerator<Uint8Array, void> {
    const mtime = { seconds: this.#modifiedSeconds, nanoseconds: 0 };
    for (const { directory, files, documents } of this.#parts) {
      const prefix = directory === "" ? "" : `${directory}/`;
      if (prefix !== "") {
        yield tarHeader(plainEntry(directory, { type: "directory", mode: DIRECTORY_MODE, mtime }));
      }
      const names = new Set(documents.map(({ name }) => name));
      yield* files.entries(prefix, (path) => names.has(firstName(path)));
      for (const document of documents) {
        const bytes = bytesOf(document);
        const entry = { mode: DOCUMENT_MODE, size: bytes.length, mtime };
        yield tarHeader(plainEntry(`${prefix}${document.name}`, entry));
        yield bytes;
        yield tarPadding(bytes.length);
      }
    }
    yield TAR_END;
  }

  #made(path: string, goMode: number, sizeBytes: number): ResultNode {
    const modifiedNs = BigInt(this.#modifiedSeconds) * 1_000_000_000n;
    return { path, goMode, uid: 0, gid: 0, sizeBytes, modifiedNs, link: "" };
  }
}
