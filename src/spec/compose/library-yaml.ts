/**
 * YAML 1.2 into placed trees. Scalars are read here, not by the library, because compose files in
 * the wild rely on what the reference reader takes over from YAML 1.1: `0440` is octal and `<<`
 * merges mappings, while `yes`, `on` and dates are text.
 */
import { LineCounter, isAlias, isMap, isPair, isScalar, isSeq, parseAllDocuments } from "yaml";
import type { Document } from "yaml";
import type { Node, Place, Scalar, Tag } from "#spec/compose/node.ts";
import { placedError } from "#spec/compose/node.ts";
import { plainNode, plainScalar } from "#spec/compose/plain-scalar.ts";

/** Aliases multiply: more values than this in one file is an attack or a mistake. */
const MAX_VALUES = 200_000;

class TreeReader {
  readonly #file: string;
  readonly #document: Document;
  readonly #lines: LineCounter;
  #count = 0;

  constructor(file: string, document: Document, lines: LineCounter) {
    this.#file = file;
    this.#document = document;
    this.#lines = lines;
  }

  #placeOf(node: unknown): Place {
    const range: unknown = typeof node === "object" && node !== null && Reflect.get(node, "range");
    const offset = Array.isArray(range) ? Number(range[0]) : 0;
    return { file: this.#file, line: Math.max(1, this.#lines.linePos(offset).line) };
  }

  read(node: unknown, key?: Place, open: readonly unknown[] = []): Node {
    this.#count += 1;
    const place = key ?? this.#placeOf(node);
    if (this.#count > MAX_VALUES) {
      throw placedError(place, `there are more than ${String(MAX_VALUES)} values in this file`);
    }
    if (isAlias(node)) {
      const target = node.resolve(this.#document);
      if (target === undefined) throw placedError(place, `unknown anchor "${node.source}"`);
      if (open.includes(target)) {
        throw placedError(place, `the anchor "${node.source}" contains itself`);
      }
      return this.read(target, place, open);
    }
    const tag = this.#tagOf(node, place);
    const inside = [...open, node];
    if (isScalar(node)) {
      const value = this.#scalar(node, place);
      const written =
        typeof value === "number" ? plainNode(String(node.value), place).written : undefined;
      const scalar = { kind: "scalar" as const, value, place, tag };
      return written === undefined ? scalar : { ...scalar, written };
    }
    if (isSeq(node)) {
      const items = node.items.map((item) => this.read(item, undefined, inside));
      return { kind: "list", items, place, tag };
    }
    if (isMap(node)) return { kind: "map", entries: this.#entries(node.items, inside), place, tag };
    return { kind: "scalar", value: null, place, tag };
  }

  #tagOf(node: unknown, place: Place): Tag | undefined {
    const tag: unknown =
      typeof node === "object" && node !== null ? Reflect.get(node, "tag") : undefined;
    if (tag === "!reset") return "reset";
    if (tag === "!override") return "override";
    if (typeof tag === "string" && tag.startsWith("!")) {
      throw placedError(place, `unknown tag "${tag}"; there are !reset and !override`);
    }
    return undefined;
  }

  #scalar(node: { value: unknown; type?: unknown; tag?: unknown }, place: Place): Scalar {
    const text = typeof node.value === "string" ? node.value : "";
    const tag = typeof node.tag === "string" ? node.tag.replace("tag:yaml.org,2002:", "") : "";
    if (tag === "str" && node.type !== "PLAIN") return text;
    if (tag === "str" || tag === "binary") return text;
    if (tag === "int" || tag === "float" || tag === "bool" || tag === "null") {
      const value = plainScalar(text);
      if (typeof value === "string") throw placedError(place, `"${text}" is not of type ${tag}`);
      return value;
    }
    return node.type === "PLAIN" ? plainScalar(text) : text;
  }

  #entries(pairs: readonly unknown[], open: readonly unknown[]): Map<string, Node> {
    const own = new Map<string, Node>();
    const merged: Node[] = [];
    for (const pair of pairs) {
      if (!isPair(pair)) continue;
      const place = this.#placeOf(pair.key);
      const key: unknown = isScalar(pair.key) ? pair.key.value : undefined;
      if (typeof key !== "string") throw placedError(place, "a key must be text");
      if (key === "<<" && isScalar(pair.key) && pair.key.type === "PLAIN") {
        const value = this.read(pair.value, place, open);
        merged.push(...(value.kind === "list" ? value.items : [value]));
        continue;
      }
      const known = own.get(key);
      if (known !== undefined) {
        const where = String(known.place.line);
        throw placedError(place, `the key "${key}" stands twice, first in line ${where}`);
      }
      own.set(key, this.read(pair.value, place, open));
    }
    for (const source of merged) {
      if (source.kind !== "map") throw placedError(source.place, '"<<" takes mappings only');
      for (const [key, value] of source.entries) if (!own.has(key)) own.set(key, value);
    }
    return own;
  }
}

/** Every document of a file, by the library; empty ones are left out. Throws with file and line. */
export const parseByLibrary = (file: string, text: string): Node[] => {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    schema: "failsafe",
    logLevel: "silent",
    prettyErrors: false,
    uniqueKeys: false,
    strict: true,
  });
  const trees: Node[] = [];
  for (const document of Array.isArray(documents) ? documents : []) {
    const [error] = document.errors;
    if (error !== undefined) {
      const { line } = lines.linePos(error.pos[0]);
      throw placedError({ file, line: Math.max(1, line) }, `not valid YAML: ${error.message}`);
    }
    if (document.contents === null) continue;
    const tree = new TreeReader(file, document, lines).read(document.contents);
    if (tree.kind === "scalar" && (tree.value === null || tree.value === "")) continue;
    trees.push(tree);
  }
  return trees;
};
