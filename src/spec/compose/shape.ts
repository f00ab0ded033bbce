/**
 * What the specification allows at a place, as data. A shape reads what was written into the one
 * canonical form (short forms become long ones, text becomes numbers where a number is meant),
 * merges an override onto a base by its own rule, and tidies the plain result for printing.
 *
 * Reading never throws: problems are handed to `Reading.problem` with the node, so that all of
 * them can be shown at once.
 */
import type { MapNode, Node } from "#spec/compose/node.ts";
import { list, map, scalar } from "#spec/compose/node.ts";
import { nearestWord } from "#spec/compose/suggest.ts";

export interface Reading {
  /** Folder that relative paths stand for; undefined: they stay as they are. */
  readonly folder: string | undefined;
  /** What `~` stands for. */
  readonly home: string | undefined;
  /** Variables were left as they are: text that names one may become anything. */
  readonly hasVariables: boolean;
  problem(node: Node, path: string, message: string): void;
}

/** Nothing can be said yet of what this will be. */
export const isOpen = (node: Node, reading: Reading): boolean =>
  reading.hasVariables &&
  node.kind === "scalar" &&
  typeof node.value === "string" &&
  node.value.includes("$");

/** As `toSorted` takes it. */
export type KeyOrder = (a: string, b: string) => number;

const byCodeUnits: KeyOrder = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

export interface Shape {
  read(node: Node, path: string, reading: Reading): Node;
  /** Both canonical. */
  merge(base: Node, over: Node): Node;
  /**
   * Orders keys as they are printed and leaves out what says nothing; names of the user's own by
   * `order`, which is that of code units when nothing is given.
   */
  tidy(value: unknown, order?: KeyOrder): unknown;
  /** Printed even when it is 0, false or empty. */
  readonly isKept: boolean;
  readonly isNullable: boolean;
}

type Read = Shape["read"];

export const isNull = (node: Node): boolean => node.kind === "scalar" && node.value === null;

/** By tag and null first, which are the same everywhere; then by the shape's own rule. */
export const mergeNodes = (shape: Shape, base: Node, over: Node): Node => {
  if (over.tag !== undefined || base.tag === "reset") return over;
  if (isNull(over) && !shape.isKept) return base;
  return shape.merge(base, over);
};

const mergeEntries = (base: MapNode, over: MapNode, shapeOf: (key: string) => Shape): MapNode => {
  const entries = new Map(base.entries);
  for (const [key, value] of over.entries) {
    const before = entries.get(key);
    entries.set(key, before === undefined ? value : mergeNodes(shapeOf(key), before, value));
  }
  return map({ place: over.place, tag: base.tag }, entries);
};

export const define = (read: Read, extra: Partial<Shape> = {}): Shape => ({
  read: (node, path, reading) => (node.tag === "reset" ? node : read(node, path, reading)),
  merge: (_base, over) => over,
  tidy: (value) => value,
  isKept: false,
  isNullable: false,
  ...extra,
});

/** Printed as it is, even when it is empty. */
export const kept = (shape: Shape): Shape => ({ ...shape, isKept: true });

/** The last file's value counts as a whole. */
export const replaced = (shape: Shape): Shape => ({ ...shape, merge: (_base, over) => over });

/** Nothing written is a value of its own. */
export const nullable = (shape: Shape): Shape => ({
  ...shape,
  read: (node, path, reading) => (isNull(node) ? node : shape.read(node, path, reading)),
  merge: (base, over) => (isNull(over) ? base : isNull(base) ? over : shape.merge(base, over)),
  tidy: (value, order) => (value === null || value === undefined ? null : shape.tidy(value, order)),
  isNullable: true,
});

export const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === "" ||
  value === 0 ||
  value === false ||
  (Array.isArray(value) && value.length === 0) ||
  (typeof value === "object" && !Array.isArray(value) && Object.keys(value).length === 0);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Anything at all: `x-` extensions. Maps merge, lists append. */
export const anything: Shape = define((node) => node, {
  merge: (base, over) => {
    if (base.kind === "map" && over.kind === "map") {
      return mergeEntries(base, over, () => anything);
    }
    if (base.kind === "list" && over.kind === "list") {
      return list(over, [...base.items, ...over.items]);
    }
    return over;
  },
  isKept: true,
});

export type Fields = Readonly<Record<string, Shape>>;

export interface RecordRules {
  readonly required?: readonly string[];
  /** False: `x-` extensions are not allowed either. */
  readonly hasExtensions?: boolean;
  /** Another way to write it: given back in the long form. */
  readonly short?: (node: Node) => Node | undefined;
  /** What the short form is called in messages. */
  readonly shortName?: string;
  readonly merge?: Shape["merge"];
}

const readField = (
  fields: Fields,
  [key, value]: readonly [string, Node],
  path: string,
  reading: Reading,
): readonly [string, Node] => {
  const at = path === "" ? key : `${path}.${key}`;
  const shape = fields[key];
  if (shape !== undefined) return [key, shape.read(value, at, reading)];
  if (!key.startsWith("x-")) {
    const near = nearestWord(key, Object.keys(fields));
    const hint = near === undefined ? "" : `; did you mean "${near}"?`;
    reading.problem(value, at, `unknown attribute${hint}`);
  }
  return [key, value];
};

/** A mapping of known attributes, printed in the order of `fields`. */
export const record = (fields: Fields, rules: RecordRules = {}): Shape =>
  define(
    (written, path, reading) => {
      const node = rules.short?.(written) ?? written;
      if (node.kind !== "map") {
        const also = rules.shortName === undefined ? "" : ` or ${rules.shortName}`;
        reading.problem(node, path, `must be a mapping${also}`);
        return map(node, []);
      }
      for (const name of rules.required ?? []) {
        if (!node.entries.has(name)) reading.problem(node, path, `"${name}" is required`);
      }
      return map(
        node,
        [...node.entries].map((entry) => readField(fields, entry, path, reading)),
      );
    },
    {
      merge:
        rules.merge ??
        ((base, over) =>
          base.kind === "map" && over.kind === "map"
            ? mergeEntries(base, over, (key) => fields[key] ?? anything)
            : over),
      tidy: (value, order) => tidyRecord(fields, value, order),
    },
  );

/** Every mapping in it, whatever that means. */
export const withSortedKeys = (value: unknown, order: KeyOrder = byCodeUnits): unknown => {
  if (Array.isArray(value)) return value.map((item) => withSortedKeys(item, order));
  if (!isObject(value)) return value;
  const keys = Object.keys(value).toSorted(order);
  return Object.fromEntries(keys.map((key) => [key, withSortedKeys(value[key], order)]));
};

const tidyRecord = (fields: Fields, value: unknown, order: KeyOrder = byCodeUnits): unknown => {
  if (!isObject(value)) return value;
  const result: Record<string, unknown> = {};
  for (const [key, shape] of Object.entries(fields)) {
    if (!(key in value)) continue;
    const tidied = shape.tidy(value[key], order);
    if (shape.isKept ? tidied === undefined : isEmpty(tidied)) continue;
    result[key] = tidied;
  }
  for (const key of Object.keys(value).toSorted(order)) {
    if (!key.startsWith("x-") && !key.startsWith("#")) continue;
    result[key] = withSortedKeys(value[key], order);
  }
  return result;
};

const linesOf = (node: Node): readonly Node[] => {
  if (node.kind !== "map") return node.kind === "list" ? node.items : [];
  return [...node.entries].map(([key, item]) => {
    const given = item.kind === "scalar" && item.value !== null ? `=${String(item.value)}` : "";
    return scalar({ place: item.place }, `${key}${given}`);
  });
};

/** Lists of `KEY=value` that stayed so: the last line of a key counts. */
const mergeLines = (base: Node, over: Node): Node => {
  if (base.kind === "scalar" || over.kind === "scalar") return over;
  const nameOf = (item: Node): string =>
    item.kind === "scalar" ? (String(item.value).split("=")[0] ?? "") : "";
  const items = uniqueBy([...linesOf(base), ...linesOf(over)], nameOf);
  return list({ place: over.place }, items);
};

/** A mapping from names of the user's own. */
export const dict = (
  of: Shape,
  rules: {
    readonly names?: RegExp;
    readonly short?: (node: Node) => Node | undefined;
    readonly shortName?: string;
    /** The short form stays where variables do. */
    readonly isOfLines?: boolean;
  } = {},
): Shape =>
  define(
    (written, path, reading) => {
      const node = rules.short?.(written) ?? written;
      if (node.kind !== "map") {
        const also = rules.shortName === undefined ? "" : ` or ${rules.shortName}`;
        reading.problem(node, path, `must be a mapping${also}`);
        return map(node, []);
      }
      if (reading.hasVariables && rules.isOfLines === true && written.kind === "list")
        return written;
      return map(
        node,
        [...node.entries].map(([key, value]) => {
          if (rules.names !== undefined && !rules.names.test(key) && !key.startsWith("x-")) {
            reading.problem(value, path, `"${key}" is not a valid name`);
          }
          return [key, of.read(value, `${path}.${key}`, reading)];
        }),
      );
    },
    {
      merge: (base, over) =>
        base.kind === "map" && over.kind === "map"
          ? mergeEntries(base, over, () => of)
          : mergeLines(base, over),
      tidy: (value, order = byCodeUnits) =>
        isObject(value)
          ? Object.fromEntries(
              Object.keys(value)
                .toSorted(order)
                .map((key) => [key, of.tidy(value[key], order)]),
            )
          : value,
    },
  );

export interface ListRules {
  /** One item of an override takes the place of the one with the same key. */
  readonly key?: (item: unknown) => string;
  /** Other ways to write the whole list. */
  readonly short?: (node: Node) => Node | undefined;
  readonly shortName?: string;
  /** One written item as several. */
  readonly spread?: (node: Node, path: string, reading: Reading) => readonly Node[];
  /** The same text twice is a mistake. */
  readonly isDistinct?: boolean;
}

const uniqueBy = (items: readonly Node[], key: (item: Node) => string): Node[] => {
  const byKey = new Map<string, Node>();
  for (const item of items) byKey.set(key(item), item);
  return [...byKey.values()];
};

export const listOf = (of: Shape, plain: (node: Node) => unknown, rules: ListRules = {}): Shape => {
  const { key } = rules;
  const unique = (items: readonly Node[]): readonly Node[] =>
    key === undefined ? items : uniqueBy(items, (item) => key(plain(item)));
  return define(
    (written, path, reading) => {
      const node = rules.short?.(written) ?? written;
      if (node.kind !== "list") {
        const also = rules.shortName === undefined ? "" : ` or ${rules.shortName}`;
        reading.problem(node, path, `must be a list${also}`);
        return list(node, []);
      }
      const items = node.items.flatMap((item, at) => {
        const where = `${path}[${String(at)}]`;
        if (item.tag === "reset") return [];
        const parts = rules.spread?.(item, where, reading) ?? [item];
        return parts.map((part) => of.read(part, where, reading));
      });
      if (rules.isDistinct === true) reportTwins(items, path, reading);
      return list(node, unique(items));
    },
    {
      merge: (base, over) =>
        base.kind === "list" && over.kind === "list"
          ? list({ place: over.place }, unique([...base.items, ...over.items]))
          : over,
      tidy: (value, order) =>
        Array.isArray(value) ? value.map((item) => of.tidy(item, order)) : value,
    },
  );
};

const reportTwins = (items: readonly Node[], path: string, reading: Reading): void => {
  const seen = new Set<unknown>();
  for (const [at, item] of items.entries()) {
    if (item.kind !== "scalar") continue;
    if (seen.has(item.value)) {
      reading.problem(item, `${path}[${String(at)}]`, `"${String(item.value)}" stands twice`);
    }
    seen.add(item.value);
  }
};

/** A scalar given to `convert`, which gives the canonical value or undefined. */
export const value = (
  what: string,
  convert: (given: string | number | boolean) => string | number | boolean | undefined,
  extra: Partial<Shape> = {},
): Shape =>
  define((node, path, reading) => {
    const converted =
      node.kind === "scalar" && node.value !== null ? convert(node.value) : undefined;
    if (reading.hasVariables && (converted !== undefined || isOpen(node, reading))) return node;
    if (converted === undefined) {
      const shown =
        node.kind === "scalar" && node.value !== null ? `, not ${JSON.stringify(node.value)}` : "";
      reading.problem(node, path, `must be ${what}${shown}`);
      return node;
    }
    return scalar(node, converted);
  }, extra);
