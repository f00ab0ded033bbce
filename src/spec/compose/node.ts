/** A YAML document as a tree that remembers where each of its values was written. */
import { NaruError } from "#lib/errors.ts";

export interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

/** `!reset` takes a value away from what is overridden, `!override` replaces instead of merging. */
export type Tag = "reset" | "override";

export type Scalar = string | number | boolean | null;

interface Placed {
  /** Of the key for values in a mapping, of the value itself elsewhere. */
  readonly place: Place;
  readonly tag?: Tag | undefined;
}
export interface ScalarNode extends Placed {
  readonly kind: "scalar";
  readonly value: Scalar;
  /** A number as text, where that is not simply its figures: "1e+06", or more figures than it keeps. */
  readonly written?: string | undefined;
}
export interface ListNode extends Placed {
  readonly kind: "list";
  readonly items: readonly Node[];
}
export interface MapNode extends Placed {
  readonly kind: "map";
  readonly entries: ReadonlyMap<string, Node>;
}
export type Node = ScalarNode | ListNode | MapNode;

export const scalar = (like: Placed, value: Scalar): ScalarNode => ({
  kind: "scalar",
  value,
  place: like.place,
  tag: like.tag,
});
export const list = (like: Placed, items: readonly Node[]): ListNode => ({
  kind: "list",
  items,
  place: like.place,
  tag: like.tag,
});
export const map = (like: Placed, entries: Iterable<readonly [string, Node]>): MapNode => ({
  kind: "map",
  entries: new Map(entries),
  place: like.place,
  tag: like.tag,
});

/** Plain data as a tree whose every part stands at one place. */
export const fromPlain = (value: unknown, at: Placed): Node => {
  if (Array.isArray(value)) {
    return list(
      at,
      value.map((item) => fromPlain(item, { place: at.place })),
    );
  }
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    return map(
      at,
      entries.map(([key, item]) => [key, fromPlain(item, { place: at.place })] as const),
    );
  }
  return scalar(at, value as Scalar);
};

/** The tree as plain data; what `!reset` marks is gone. */
export const toPlain = (node: Node): unknown => {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list") {
    return node.items.filter((item) => item.tag !== "reset").map(toPlain);
  }
  return Object.fromEntries(
    [...node.entries]
      .filter(([, item]) => item.tag !== "reset")
      .map(([key, item]) => [key, toPlain(item)]),
  );
};

/** The node at a path of keys and indexes, or the nearest one above it that was written. */
export const nearest = (node: Node, path: readonly (string | number)[]): Node => {
  let at = node;
  for (const step of path) {
    const next =
      at.kind === "map"
        ? at.entries.get(String(step))
        : at.kind === "list"
          ? at.items[Number(step)]
          : undefined;
    if (next === undefined) return at;
    at = next;
  }
  return at;
};

export const describePlace = (place: Place): string =>
  place.line === 0 ? `"${place.file}"` : `"${place.file}", line ${String(place.line)}`;

/** An error of the compose file: `"compose.yaml", line 3: services.web.ports: …`. */
export const placedError = (place: Place, message: string, cause?: unknown): NaruError =>
  new NaruError("invalid_argument", `${describePlace(place)}: ${message}`, {
    cause,
    details: { file: place.file, line: place.line },
  });

/** The text of a scalar that is one. */
export const textOf = (node: Node): string | undefined =>
  node.kind === "scalar" && typeof node.value === "string" ? node.value : undefined;

/** A field of a plain value, whatever that is. */
export const fieldOf = (item: unknown, name: string): unknown =>
  typeof item === "object" && item !== null ? Reflect.get(item, name) : undefined;
