/** Names under the store's root, and the file that describes a layer. */
import { readFileSync } from "node:fs";
import { NaruError } from "#lib/errors.ts";
import type { RootAttributes } from "#snapshot/layer-form.ts";
import type { Layer } from "#snapshot/snapshot.ts";
import { type Digest, hexOf, parseDigest } from "#spec/image/digest.ts";

export interface Layout {
  readonly root: string;
  readonly layers: string;
  readonly active: string;
  readonly ingest: string;
  readonly views: string;
  readonly trash: string;
  /** Holds the id of the boot in which mounting tars was tried and worked: the same kernel is not tried again. */
  readonly probed: string;
  /** Two empty directories: an overlay without upper needs two lower ones. */
  readonly empty: readonly [string, string];
}

/** Overlay options and mountinfo give these characters a meaning of their own. */
const AWKWARD = /[,:\\"\s]/;

export const layoutOf = (root: string): Layout => {
  if (!root.startsWith("/") || AWKWARD.test(root)) {
    throw new NaruError(
      "invalid_argument",
      `snapshots cannot live under "${root}": the path must be absolute and without commas, colons, quotes, backslashes and blanks; choose another data root`,
    );
  }
  return {
    root,
    layers: `${root}/layers`,
    active: `${root}/active`,
    ingest: `${root}/ingest`,
    views: `${root}/views`,
    trash: `${root}/trash`,
    probed: `${root}/probed`,
    empty: [`${root}/empty/a`, `${root}/empty/b`],
  };
};

const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/** Ids become directory names. */
export const checkId = (id: string): string => {
  if (ID.test(id)) return id;
  throw new NaruError(
    "invalid_argument",
    `"${id}" cannot name a snapshot: letters, digits, "_", "." and "-" are taken, 128 at most`,
  );
};

/** The directory's name says the algorithm only where it is not sha256. */
export const layerName = (chainId: Digest): string =>
  chainId.startsWith("sha256:") ? hexOf(chainId) : chainId.replace(":", "-");

export const LAYER_FILE = "layer.json";

/** As it stands on disk: a layer whose files may still be in memory only names the running kernel. */
export interface StoredLayer extends Layer {
  /** Of a layer in the form `erofs`: nobody has to mount it to know. */
  readonly root?: RootAttributes;
  readonly unflushedBootId?: string;
}

export const formatLayer = (layer: StoredLayer): string => `${JSON.stringify(layer)}\n`;

type Described = Partial<Record<keyof Omit<StoredLayer, "root">, string | number | boolean>> & {
  readonly root?: Partial<RootAttributes>;
};

const readRoot = (value: Partial<RootAttributes> = {}): RootAttributes => {
  const { mode, uid, gid } = value;
  if (mode === undefined || uid === undefined || gid === undefined) throw new TypeError("root");
  return { mode, uid, gid };
};

/** Throws data_loss when the file does not describe a layer. */
export const readLayer = (directory: string): StoredLayer => {
  try {
    const text = readFileSync(`${directory}/${LAYER_FILE}`, "utf8");
    const value = JSON.parse(text) as Described;
    const { unflushedBootId: bootId, root, form = "directory" } = value;
    if (form !== "directory" && form !== "erofs") throw new TypeError(`form "${form}"`);
    return {
      chainId: parseDigest(`${value.chainId}`),
      parent: value.parent === undefined ? undefined : parseDigest(`${value.parent}`),
      diffId: parseDigest(`${value.diffId}`),
      sizeBytes: Number(value.sizeBytes),
      isOpaque: value.isOpaque === true,
      form,
      ...(form === "erofs" ? { root: readRoot(root) } : {}),
      ...(bootId === undefined ? {} : { unflushedBootId: `${bootId}` }),
    };
  } catch (cause) {
    throw new NaruError(
      "data_loss",
      `the layer in "${directory}" cannot be read; remove that directory and load the image again`,
      { cause },
    );
  }
};
