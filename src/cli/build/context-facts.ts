/**
 * A context told by its facts first: the engine keeps the tree of the last build and asks for the content of what
 * differs in mode, size or time. What is asked for goes as a tar whose names are the numbers of the facts.
 */
import type { ContextTotals, PackedDirectory } from "#cli/build/context-tar.ts";
import { fileContent, gathered, inlineEntry, inlineHeader } from "#cli/build/context-tar.ts";
import { lstat, namesIn, readlink, realpath } from "#cli/quick-files.ts";
import { type QuickStat, quickRead } from "#kernel/quick-files.ts";
import { lateFs } from "#lib/late-builtins.ts";
import { TAR_END, tarPadding } from "#lib/tar/writer.ts";
import {
  type IgnoreState,
  IgnoreMatcher,
  parseDockerignore,
} from "#spec/dockerfile/dockerignore.ts";

/** As POST /naru/build reads it: one JSON array a line. */
export type Fact = readonly [
  path: string,
  kind: "f" | "d" | "l",
  mode: number,
  sizeBytes: number,
  modifiedNs: string,
  link: string,
];

export interface ContextFact {
  readonly fact: Fact;
  /** Where its content is; undefined for what has none, or is given. */
  readonly file: string | undefined;
  readonly content?: Uint8Array;
}

const plainDirectory = (path: string): ContextFact => ({
  fact: [path, "d", 0o755, 0, "0", ""],
  file: undefined,
});

class FactWalk {
  readonly found: ContextFact[] = [];
  /** Something that has no words here: a fifo. */
  isOdd = false;
  readonly #root: string;
  readonly #prefix: string;
  readonly #matcher: IgnoreMatcher;
  /** Ignored directories that are made when something below them comes. */
  readonly #pending: string[] = [];

  constructor({ root, prefix, ignore }: PackedDirectory) {
    this.#root = root;
    this.#prefix = prefix;
    this.#matcher = new IgnoreMatcher(parseDockerignore(ignore));
  }

  walk(path = "", state: IgnoreState = this.#matcher.root): void {
    const directory = path === "" ? this.#root : `${this.#root}/${path}`;
    for (const name of namesIn(directory).toSorted()) {
      const child = path === "" ? name : `${path}/${name}`;
      const own = this.#matcher.enter(child, state);
      const stat = lstat(`${this.#root}/${child}`);
      if (stat === undefined) continue; // Gone since it was listed.
      if (!own.isIgnored) this.#add(child, stat);
      if (stat.kind !== "directory") continue;
      if (own.isIgnored && !this.#matcher.canHoldExceptions(child)) continue;
      if (own.isIgnored) this.#pending.push(child);
      this.walk(child, own);
      if (own.isIgnored && this.#pending.at(-1) === child) this.#pending.pop();
    }
  }

  #add(path: string, { kind, mode, sizeBytes, modifiedNs }: QuickStat): void {
    if (kind === "other") return;
    if (kind === "fifo") {
      this.isOdd = true;
      return;
    }
    for (const parent of this.#pending.splice(0)) {
      this.found.push(plainDirectory(this.#prefix + parent));
    }
    const file = `${this.#root}/${path}`;
    const name = this.#prefix + path;
    const time = String(modifiedNs);
    if (kind === "directory") this.#push([name, "d", mode, 0, time, ""]);
    else if (kind === "symlink") this.#push([name, "l", mode, 0, time, readlink(file)]);
    else this.found.push({ fact: [name, "f", mode, sizeBytes, time, ""], file });
  }

  #push(fact: Fact): void {
    this.found.push({ fact, file: undefined });
  }
}

const parentsOf = (prefix: string): string[] => {
  const parts = prefix.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
};

/**
 * In place of the Dockerfile's time, which says nothing where several lie in one directory: its content, so that it is
 * asked for only when that is another.
 */
const timeOfContent = (content: Uint8Array): string =>
  String(BigInt(`0x${new Bun.CryptoHasher("sha256").update(content).digest("hex").slice(0, 15)}`));

/** undefined: something in there can only be sent as a tar. */
export const contextFacts = (
  dockerfile: Uint8Array,
  directories: readonly PackedDirectory[],
): readonly ContextFact[] | undefined => {
  const found: ContextFact[] = [
    {
      fact: ["Dockerfile", "f", 0o644, dockerfile.length, timeOfContent(dockerfile), ""],
      file: undefined,
      content: dockerfile,
    },
  ];
  const made = new Set<string>();
  for (const directory of directories) {
    for (const parent of parentsOf(directory.prefix)) {
      if (made.has(parent)) continue;
      made.add(parent);
      found.push(plainDirectory(parent));
    }
    const walk = new FactWalk(directory);
    walk.walk();
    if (walk.isOdd) return undefined;
    found.push(...walk.found);
  }
  return found;
};

/** The same context has the same key, wherever it is named from. */
export const contextKey = (directories: readonly PackedDirectory[]): string => {
  const hostname = quickRead("/proc/sys/kernel/hostname")?.toString().trim() ?? "";
  const parts = directories.map(({ root, prefix }) => [prefix, realpath(root)]);
  return new Bun.CryptoHasher("sha256").update(JSON.stringify([hostname, parts])).digest("hex");
};

export const manifestOf = (facts: readonly ContextFact[]): Buffer =>
  Buffer.from(facts.map(({ fact }) => `${JSON.stringify(fact)}\n`).join(""));

function* wantedPieces(
  facts: readonly ContextFact[],
  wanted: readonly number[],
  totals: ContextTotals,
): Generator<Uint8Array, void> {
  for (const index of wanted) {
    const source = facts[index];
    if (source?.content !== undefined) yield* inlineEntry(String(index), source.content);
    if (source?.file === undefined) continue;
    const size = source.fact[3];
    yield inlineHeader(String(index), size);
    yield* fileContent(lateFs(), source.file, size);
    yield tarPadding(size);
    totals.files += 1;
    totals.bytes += size;
  }
  yield TAR_END;
}

/** A tar of the facts with these numbers. Reads as it is asked; `totals` grow meanwhile. */
export async function* packWanted(
  facts: readonly ContextFact[],
  wanted: readonly number[],
  totals: ContextTotals,
): AsyncGenerator<Uint8Array, void> {
  yield* gathered(wantedPieces(facts, wanted, totals));
}
