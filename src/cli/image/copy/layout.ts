/** OCI layouts in a directory (image-spec 1.1 image-layout.md): read as an archive, and filled from one. */
import { createReadStream } from "node:fs";
import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { NaruError } from "#lib/errors.ts";
import { plainEntry } from "#lib/tar/entry.ts";
import { TarParser } from "#lib/tar/parser.ts";
import { TAR_END, tarHeader, tarPadding } from "#lib/tar/writer.ts";
import { CONTAINERD_NAME, REF_NAME } from "#spec/image/descriptor.ts";
import { asArray, asObject, asStringMap, decodeJson } from "#spec/image/decode.ts";
import { subjectOfTag } from "#spec/distribution/name.ts";
import { checkArchivePath } from "#spec/image/docker-archive.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import { OCI_INDEX, isIndexType, isManifestType, isUrlLayer } from "#spec/image/media-type.ts";

const LAYOUT = '{"imageLayoutVersion":"1.0.0"}';
const BLOB = /^blobs\/(sha256|sha512)\/([0-9a-f]+)$/;

type Entry = Readonly<Record<string, unknown>>;

const blobPath = (digest: string): string => `blobs/${digest.replace(":", "/")}`;

const entriesOf = (text: string): Entry[] =>
  asArray(asObject(decodeJson(text, "index.json"), "index.json")["manifests"], "manifests").map(
    (entry) => asObject(entry, "entry of index.json"),
  );

/** What else an index.json lists is nobody's fault, and no image (image-spec 1.1 image-layout.md, index.json). */
const knownOf = (entries: readonly Entry[]): readonly Entry[] => {
  const known = entries.filter(({ mediaType = "" }) => {
    const type = String(mediaType);
    return type === "" || isManifestType(type) || isIndexType(type);
  });
  return known.length === 0 ? entries : known;
};

const nameOf = (entry: Entry): string | undefined =>
  asStringMap(entry["annotations"], "annotations")[REF_NAME];

const headerOf = (name: string, size: number): Uint8Array =>
  tarHeader(plainEntry(name, { mode: 0o444, size }));

/** Digests of all that the entry leads to; what an index lists and is not there is left out. */
const reachable = async (directory: string, digest: string, found: Set<string>): Promise<void> => {
  if (found.has(digest)) return;
  const path = join(directory, blobPath(digest));
  const manifest = parseManifest(await readFile(path, "utf8"));
  found.add(digest);
  if (manifest.kind === "manifest") {
    const own = manifest.layers.filter((layer) => !isUrlLayer(layer));
    for (const blob of [manifest.config, ...own]) found.add(blob.digest);
    return;
  }
  for (const child of manifest.manifests) {
    const isThere = await Bun.file(join(directory, blobPath(child.digest))).exists();
    if (isThere) await reachable(directory, child.digest, found);
  }
};

interface Referrer {
  readonly entry: Entry;
  readonly subject: string;
}

/** Entries that speak of another manifest, or are attached to one by their tag: signatures, attestations. */
const referrersOf = async (
  directory: string,
  entries: readonly Entry[],
): Promise<readonly Referrer[]> => {
  const found: Referrer[] = [];
  for (const entry of entries) {
    const file = Bun.file(join(directory, blobPath(String(entry["digest"]))));
    const name = nameOf(entry);
    const attachedTo = name === undefined ? undefined : subjectOfTag(name);
    if ((name !== undefined && attachedTo === undefined) || !(await file.exists())) continue;
    const subject = attachedTo ?? parseManifest(await file.text()).subject?.digest;
    if (subject !== undefined) found.push({ entry, subject });
  }
  return found;
};

/** Those of the referrers that speak of what goes along, and of each other; their blobs are added to it. */
const takeReferrers = async (
  directory: string,
  referrers: readonly Referrer[],
  digests: Set<string>,
): Promise<readonly Entry[]> => {
  const taken = new Set<Entry>();
  for (let before = -1; before < taken.size;) {
    before = taken.size;
    for (const { entry, subject } of referrers) {
      if (taken.has(entry) || !digests.has(subject)) continue;
      taken.add(entry);
      await reachable(directory, String(entry["digest"]), digests);
    }
  }
  return [...taken];
};

const pick = (entries: readonly Entry[], path: string, name: string | undefined): Entry => {
  const wanted = name === undefined ? entries : entries.filter((entry) => nameOf(entry) === name);
  const [entry, another] = wanted;
  const names = entries.flatMap((one) => nameOf(one) ?? []).join(", ");
  if (entry === undefined) {
    throw new NaruError(
      "not_found",
      `"${path}" has no image${name === undefined ? "" : ` "${name}"`}${names === "" ? "" : `: it has ${names}`}`,
    );
  }
  if (another === undefined) return entry;
  throw new NaruError("invalid_argument", `"${path}" has several images: name one of ${names}`);
};

/** One image of a layout as an archive, with what refers to it if `hasReferrers`. `as`: the name that it gets there. Throws not_found with what there is. */
export async function* readLayout(
  path: string,
  name: string | undefined,
  as: string | undefined,
  hasReferrers = false,
): AsyncGenerator<Uint8Array, void> {
  const index = await readFile(join(path, "index.json"), "utf8").catch((cause: unknown) => {
    throw new NaruError("not_found", `"${path}" is no OCI layout: it has no index.json`, { cause });
  });
  const entries = knownOf(entriesOf(index));
  const referrers = await referrersOf(path, entries);
  const isReferrer = (one: Entry): boolean => referrers.some(({ entry: other }) => other === one);
  const images = entries.filter((one) => !isReferrer(one));
  const entry = pick(images.length === 0 ? entries : images, path, name);
  const digests = new Set<string>();
  await reachable(path, String(entry["digest"]), digests);
  const taken = hasReferrers ? await takeReferrers(path, referrers, digests) : [];
  const document = function* (file: string, text: string): Generator<Uint8Array, void> {
    const bytes = Buffer.from(text);
    yield headerOf(file, bytes.length);
    yield bytes;
    yield tarPadding(bytes.length);
  };
  for (const digest of digests) {
    const file = join(path, blobPath(digest));
    const { size } = await stat(file).catch((cause: unknown) => {
      throw new NaruError("data_loss", `"${path}" lacks the blob ${digest}`, { cause });
    });
    yield headerOf(blobPath(digest), size);
    yield* createReadStream(file, { highWaterMark: 1024 * 1024 });
    yield tarPadding(size);
  }
  const { annotations: _, ...descriptor } = entry;
  const annotations = as === undefined ? {} : { annotations: { [CONTAINERD_NAME]: as } };
  const manifests = [{ ...descriptor, ...annotations }, ...taken];
  yield* document(
    "index.json",
    JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }),
  );
  yield* document("oci-layout", LAYOUT);
  yield TAR_END;
}

/** A blob that arrives: into a file beside its place, renamed when its digest is right. */
class IncomingBlob {
  readonly #path: string;
  readonly #digest: string;
  readonly #hash;
  readonly #chunks: Buffer[] = [];
  readonly isThere: boolean;

  constructor(directory: string, algorithm: string, hex: string, isThere: boolean) {
    this.#path = join(directory, "blobs", algorithm, hex);
    this.#digest = hex;
    this.#hash = createHash(algorithm);
    this.isThere = isThere;
  }

  push(bytes: Uint8Array): void {
    if (!this.isThere) this.#chunks.push(Buffer.from(bytes));
  }

  /** What came since the last time goes to the disk. */
  async flush(): Promise<void> {
    const chunks = this.#chunks.splice(0);
    if (this.isThere || chunks.length === 0) return;
    await mkdir(dirname(this.#path), { recursive: true });
    await using file = await open(`${this.#path}.part`, "a");
    for (const chunk of chunks) {
      this.#hash.update(chunk);
      await file.write(chunk);
    }
  }

  async end(): Promise<void> {
    if (this.isThere) return;
    await this.flush();
    const part = `${this.#path}.part`;
    if (this.#hash.digest("hex") !== this.#digest) {
      await rm(part, { force: true });
      throw new NaruError("data_loss", `blob "${this.#digest}" arrived damaged`);
    }
    await rename(part, this.#path);
  }
}

const mergeIndex = async (
  path: string,
  incoming: readonly Entry[],
  name: string | undefined,
): Promise<void> => {
  const file = join(path, "index.json");
  const old = (await Bun.file(file).exists()) ? entriesOf(await readFile(file, "utf8")) : [];
  const [first, ...referring] = incoming;
  const { annotations: _, ...descriptor } = first ?? {};
  const named = name === undefined ? {} : { annotations: { [REF_NAME]: name } };
  const added = [{ ...descriptor, ...named }, ...referring];
  const isReplaced = (entry: Entry): boolean =>
    added.some(
      (one: Entry) =>
        nameOf(one) === nameOf(entry) &&
        (nameOf(one) !== undefined || one["digest"] === entry["digest"]),
    );
  const manifests = [...old.filter((entry) => !isReplaced(entry)), ...added];
  const text = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
  await writeFile(`${file}.part`, text);
  await rename(`${file}.part`, file);
};

/** Puts an archive's image into a layout, made where there is none; blobs that are there stay. Resolves to how many came. */
export const writeLayout = async (
  path: string,
  name: string | undefined,
  source: AsyncIterable<Uint8Array>,
): Promise<number> => {
  await mkdir(path, { recursive: true });
  const ended: IncomingBlob[] = [];
  let current: IncomingBlob | undefined;
  let document: { name: string; chunks: Buffer[] } | undefined;
  const documents = new Map<string, string>();
  let count = 0;
  const parser = new TarParser({
    entry: (entry) => {
      if (entry.type !== "file") return;
      const clean = checkArchivePath(entry.name);
      const [, algorithm, hex] = BLOB.exec(clean) ?? [];
      if (algorithm === undefined || hex === undefined) document = { name: clean, chunks: [] };
      else {
        const isThere = Bun.file(join(path, clean)).size === entry.size && entry.size > 0;
        current = new IncomingBlob(path, algorithm, hex, isThere);
        if (!isThere) count += 1;
      }
    },
    data: (bytes) => {
      current?.push(bytes);
      document?.chunks.push(Buffer.from(bytes));
    },
    entryEnd: () => {
      if (current !== undefined) ended.push(current);
      if (document !== undefined) {
        documents.set(document.name, Buffer.concat(document.chunks).toString());
      }
      [current, document] = [undefined, undefined];
    },
  });
  for await (const chunk of source) {
    parser.push(chunk);
    for (const blob of ended.splice(0)) await blob.end();
    await (current as IncomingBlob | undefined)?.flush();
  }
  parser.end();
  for (const blob of ended) await blob.end();
  const index = documents.get("index.json");
  if (index === undefined) {
    throw new NaruError(
      "invalid_argument",
      "the source has no manifests: copy a docker-archive to store: or to a registry first",
    );
  }
  await writeFile(join(path, "oci-layout"), LAYOUT);
  await mergeIndex(path, entriesOf(index), name);
  return count;
};
