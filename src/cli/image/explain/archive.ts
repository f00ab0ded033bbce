/** Reads an image as `save` gives it, layer by layer, without putting anything on the disk. */
import { createHash, type Hash } from "node:crypto";
import { once } from "node:events";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { secretsIn, type SecretMark } from "#cli/image/explain/rules.ts";
import { NaruError } from "#lib/errors.ts";
import type { TarEntry } from "#lib/tar/entry.ts";
import { TarParser } from "#lib/tar/parser.ts";
import { type ImageConfig, parseImageConfig } from "#spec/image/config.ts";

/** Larger files are not looked into: credentials are small. */
const READ_BYTES = 1024 * 1024;
const DOCUMENT_BYTES = 16 * 1024 * 1024;
const FILES_MAX = 3_000_000;

export interface LayerFile {
  /** Without a leading slash. */
  readonly path: string;
  readonly sizeBytes: number;
  /** sha256 in hex; "" for what has no content of its own. */
  readonly digest: string;
  /** Type, mode, owner and where it leads, in one text: the same for the same. */
  readonly attributes: string;
  readonly secrets: readonly SecretMark[];
}

export interface SavedLayer {
  readonly files: readonly LayerFile[];
  /** Paths that the layer takes away; "dir/" stands for everything below, from lower layers. */
  readonly removed: readonly string[];
}

export interface SavedImage {
  readonly config: ImageConfig;
  readonly layers: readonly SavedLayer[];
}

const cleanPath = (name: string): string =>
  name
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");

const attributesOf = ({ type, mode, uid, gid, linkName, ...entry }: TarEntry): string => {
  const device = type.endsWith("device") ? ` ${entry.deviceMajor},${entry.deviceMinor}` : "";
  const link = linkName === "" ? "" : ` -> ${linkName}`;
  return `${type} ${mode.toString(8)} ${uid}:${gid}${device}${link}`;
};

class LayerReader {
  readonly files: LayerFile[] = [];
  readonly removed: string[] = [];
  readonly #parser: TarParser;
  #file: { path: string; size: number; attributes: string; hash: Hash; kept: Buffer[] } | undefined;

  constructor() {
    this.#parser = new TarParser({
      entry: (entry) => this.#entry(entry),
      data: (bytes) => this.#data(bytes),
      entryEnd: () => this.#entryEnd(),
    });
  }

  push(bytes: Uint8Array): void {
    this.#parser.push(bytes);
  }

  end(): SavedLayer {
    this.#parser.end();
    return { files: this.files, removed: this.removed };
  }

  #entry(entry: TarEntry): void {
    const path = cleanPath(entry.name);
    const name = path.slice(path.lastIndexOf("/") + 1);
    const parent = path.slice(0, path.length - name.length);
    if (name === ".wh..wh..opq") this.removed.push(parent);
    else if (name.startsWith(".wh.")) this.removed.push(`${parent}${name.slice(4)}`);
    else if (entry.type === "file") {
      const attributes = attributesOf(entry);
      this.#file = { path, size: entry.size, attributes, hash: createHash("sha256"), kept: [] };
    } else if (entry.type !== "directory") {
      this.#add({ path, sizeBytes: 0, digest: "", attributes: attributesOf(entry), secrets: [] });
    }
  }

  #data(bytes: Uint8Array): void {
    const file = this.#file;
    if (file === undefined) return;
    file.hash.update(bytes);
    if (file.size <= READ_BYTES) file.kept.push(Buffer.from(bytes));
  }

  #entryEnd(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    const { path, size, attributes, hash, kept } = file;
    const text = size <= READ_BYTES ? Buffer.concat(kept).toString("latin1") : undefined;
    const secrets = secretsIn(path, text);
    this.#add({ path, sizeBytes: size, digest: hash.digest("hex"), attributes, secrets });
  }

  #add(file: LayerFile): void {
    this.files.push(file);
    if (this.files.length <= FILES_MAX) return;
    throw new NaruError("resource_exhausted", `a layer has more than ${FILES_MAX} files`);
  }
}

type Blob =
  | { readonly kind: "layer"; readonly layer: SavedLayer }
  | { readonly kind: "document"; readonly text: string };

/** One file of the archive: a layer, compressed or not, or a document. Knows which by its first bytes. */
class BlobReader {
  #head = Buffer.alloc(0);
  #layer: LayerReader | undefined;
  #inflate: ReturnType<typeof createGunzip> | undefined;
  #inflated: Promise<void> | undefined;
  #document: Buffer[] | undefined;
  #documentBytes = 0;

  push(bytes: Uint8Array): void {
    if (this.#layer === undefined && this.#document === undefined) {
      this.#head = Buffer.concat([this.#head, bytes]);
      if (this.#head.length < 512) return;
      this.#begin();
      return;
    }
    this.#take(bytes);
  }

  /** Resolves when more may be pushed. */
  async drained(): Promise<void> {
    if (this.#inflate?.writableNeedDrain === true) {
      await Promise.race([once(this.#inflate, "drain"), this.#inflated]);
    }
  }

  async end(): Promise<Blob> {
    if (this.#layer === undefined && this.#document === undefined) this.#begin();
    if (this.#inflate !== undefined) {
      this.#inflate.end();
      await this.#inflated;
    }
    if (this.#layer !== undefined) return { kind: "layer", layer: this.#layer.end() };
    return { kind: "document", text: Buffer.concat(this.#document ?? []).toString("utf8") };
  }

  #begin(): void {
    const head = this.#head;
    this.#head = Buffer.alloc(0);
    const isGzip = head[0] === 0x1f && head[1] === 0x8b;
    const isZstd = head.length > 4 && head.readUInt32LE(0) === 0xfd2fb528;
    const isTar =
      head.subarray(257, 262).toString() === "ustar" ||
      (head.length >= 512 && head.every((byte) => byte === 0));
    if (!isGzip && !isZstd && !isTar) this.#document = [];
    else {
      const layer = new LayerReader();
      this.#layer = layer;
      if (!isTar) this.#inflateInto(layer, isGzip);
    }
    this.#take(head);
  }

  #inflateInto(layer: LayerReader, isGzip: boolean): void {
    const inflate = isGzip ? createGunzip() : createZstdDecompress();
    this.#inflate = inflate as ReturnType<typeof createGunzip>;
    this.#inflated = (async () => {
      for await (const chunk of inflate) layer.push(chunk as Uint8Array);
    })();
    // Told by `drained` or `end`, whichever is first.
    this.#inflated.catch(() => undefined);
  }

  #take(bytes: Uint8Array): void {
    if (this.#inflate !== undefined) this.#inflate.write(Buffer.from(bytes));
    else if (this.#layer !== undefined) this.#layer.push(bytes);
    else {
      this.#documentBytes += bytes.length;
      if (this.#documentBytes > DOCUMENT_BYTES) {
        throw new NaruError("resource_exhausted", "the saved image holds a document over 16 MiB");
      }
      this.#document?.push(Buffer.from(bytes));
    }
  }
}

interface ManifestItem {
  readonly Config: string;
  readonly Layers: readonly string[];
}

const documentOf = (blobs: ReadonlyMap<string, Blob>, name: string): string => {
  const blob = blobs.get(name);
  if (blob?.kind === "document") return blob.text;
  throw new NaruError("data_loss", `the engine saved an image without "${name}"`);
};

/** Throws data_loss where the archive is not what `save` writes. */
export const readSavedImage = async (source: AsyncIterable<Uint8Array>): Promise<SavedImage> => {
  const blobs = new Map<string, Blob>();
  const links = new Map<string, string>();
  const ended: { name: string; reader: BlobReader }[] = [];
  let current: { name: string; reader: BlobReader } | undefined;
  const parser = new TarParser({
    entry: ({ type, name, linkName }) => {
      if (type === "file") current = { name: cleanPath(name), reader: new BlobReader() };
      // Older engines write a layer that is there twice as a link to the first.
      else if (type !== "directory")
        links.set(cleanPath(name), cleanPath(linkName.replaceAll("../", "")));
    },
    data: (bytes) => current?.reader.push(bytes),
    entryEnd: () => {
      if (current !== undefined) ended.push(current);
      current = undefined;
    },
  });
  const settle = async (): Promise<void> => {
    for (const { name, reader } of ended.splice(0)) blobs.set(name, await reader.end());
    await current?.reader.drained();
  };
  for await (const chunk of source) {
    parser.push(chunk);
    await settle();
  }
  parser.end();
  await settle();
  const [item] = JSON.parse(documentOf(blobs, "manifest.json")) as readonly ManifestItem[];
  if (item === undefined) throw new NaruError("data_loss", "the engine saved no image");
  const layers = item.Layers.map((name): SavedLayer => {
    const blob = blobs.get(name) ?? blobs.get(links.get(name) ?? "");
    if (blob?.kind === "layer") return blob.layer;
    throw new NaruError("data_loss", `the engine saved an image without its layer "${name}"`);
  });
  return { config: parseImageConfig(documentOf(blobs, item.Config)), layers };
};
