/**
 * A context told by its facts first: the engine keeps the tree of the last build and asks for the content of what
 * differs in mode, size or time. What is asked for goes as a tar whose names are the numbers of the facts.
 */
import type * as nodeFs from "node:fs";
import type { ContextTotals, PackedDirectory } from "#cli/build/context-tar.ts";
import {
  fileContent,
  gathered,
  inlineEntry,
  inlineHeader,
  type ReadFiles,
} from "#cli/build/context-tar.ts";
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

type Files = Pick<typeof nodeFs, "lstatSync" | "readdirSync" | "readlinkSync">;

const plainDirectory = (path: string): ContextFact => ({
  fact: [path, "d", 0o755, 0, "0", ""],
  file: undefined,
});

class FactWalk {
  readonly found: ContextFact[] = [];
  /** Something that has no words here: a fifo. */
  isOdd = false;
  readonly #fs: Files;
  readonly #root: string;
  readonly #prefix: string;
  readonly #matcher: IgnoreMatcher;
  /** Ignored directories that are made when something below them comes. */
  readonly #pending: string[] = [];

  constructor(fs: Files, { root, prefix, ignore }: PackedDirectory) {
    this.#fs = fs;
    this.#root = root;
    this.#prefix = prefix;
    this.#matcher = new IgnoreMatcher(parseDockerignore(ignore));
  }

  walk(path = "", state: IgnoreState = this.#matcher.root): void {
    const directory = path === "" ? this.#root : `${this.#root}/${path}`;
    for (const name of this.#fs.readdirSync(directory).toSorted()) {
      const child = path === "" ? name : `${path}/${name}`;
      const own = this.#matcher.enter(child, state);
      const stat = this.#fs.lstatSync(`${this.#root}/${child}`, {
        bigint: true,
        throwIfNoEntry: false,
      });
      if (stat === undefined) continue; // Gone since it was listed.
      if (!own.isIgnored) this.#add(child, stat);
      if (!stat.isDirectory()) continue;
      if (own.isIgnored && !this.#matcher.canHoldExceptions(child)) continue;
      if (own.isIgnored) this.#pending.push(child);
      this.walk(child, own);
      if (own.isIgnored && this.#pending.at(-1) === child) this.#pending.pop();
    }
  }

  #add(path: string, stat: nodeFs.BigIntStats): void {
    if (stat.isSocket() || stat.isCharacterDevice() || stat.isBlockDevice()) return;
    if (stat.isFIFO()) {
      this.isOdd = true;
      return;
    }
    for (const parent of this.#pending.splice(0)) {
      this.found.push(plainDirectory(this.#prefix + parent));
    }
    const file = `${this.#root}/${path}`;
    const mode = Number(stat.mode) & 0o7777;
    const name = this.#prefix + path;
    const time = String(stat.mtimeNs);
    if (stat.isDirectory()) this.#push([name, "d", mode, 0, time, ""]);
    else if (stat.isSymbolicLink()) {
      this.#push([name, "l", mode, 0, time, this.#fs.readlinkSync(file)]);
    } else this.found.push({ fact: [name, "f", mode, Number(stat.size), time, ""], file });
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
export const contextFacts = async (
  dockerfile: Uint8Array,
  directories: readonly PackedDirectory[],
): Promise<readonly ContextFact[] | undefined> => {
  const fs = await import("node:fs");
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
    const walk = new FactWalk(fs, directory);
    walk.walk();
    if (walk.isOdd) return undefined;
    found.push(...walk.found);
  }
  return found;
};

/** The same context has the same key, wherever it is named from. */
export const contextKey = async (directories: readonly PackedDirectory[]): Promise<string> => {
  const { readFileSync, realpathSync } = await import("node:fs");
  const hostname = readFileSync("/proc/sys/kernel/hostname", "utf8").trim();
  const parts = directories.map(({ root, prefix }) => [prefix, realpathSync(root)]);
  return new Bun.CryptoHasher("sha256").update(JSON.stringify([hostname, parts])).digest("hex");
};

export const manifestOf = (facts: readonly ContextFact[]): Buffer =>
  Buffer.from(facts.map(({ fact }) => `${JSON.stringify(fact)}\n`).join(""));

function* wantedPieces(
  fs: ReadFiles,
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
    yield* fileContent(fs, source.file, size);
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
  const fs = await import("node:fs");
  yield* gathered(wantedPieces(fs, facts, wanted, totals));
}
