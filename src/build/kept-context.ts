/**
 * Contexts that stay on the disk between builds, so that a client sends only what has changed.
 *
 * A client that has files itself names them first (path, mode, size, time), in the order of a walk; content is
 * asked for only where these differ from what the last build of the same key left. The tree belongs to one
 * build at a time; another build of the same key meanwhile gets a tree of its own that nobody keeps.
 *
 * What lies in a tree is told by the list beside it. The list is taken away before the tree is first changed and
 * written after it: a tree without a list, or with one from before a restart of the machine, starts empty.
 */
import {
  chmodSync,
  closeSync,
  existsSync,
  lchownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { open, readFile, rm } from "node:fs/promises";
import type { BuildContext } from "#build/context.ts";
import { bootId } from "#build/boot-id.ts";
import { makeContextRoot } from "#build/context-root.ts";
import { discardTree, goneBeside } from "#build/discard-tree.ts";
import { CONTEXT_ENTRIES_MAX } from "#build/context-writer.ts";
import type { FileKernel } from "#kernel/kernel.ts";
import { nowNs } from "#lib/clock.ts";
import { FairTurn } from "#lib/fair-turn.ts";
import { NaruError } from "#lib/errors.ts";

/** A file as its owner describes it. */
export interface FileFacts {
  /** Relative, with slashes, without "." and "..". */
  readonly path: string;
  readonly kind: "file" | "directory" | "symlink" | "hardlink";
  /** Permission bits, setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  /** Nanoseconds since the epoch, in decimal digits. */
  readonly modifiedNs: string;
  /** Of symlinks: the text. Of hardlinks: the path of an earlier file. */
  readonly link: string;
  /** Extended attributes in base64 by name: those that copies keep. */
  readonly xattrs?: Readonly<Record<string, string>>;
}

/** What is larger is made anew each time. */
export const KEPT_TREE_MAX_BYTES = 1024 ** 3;

/** Fewer are soon copied. */
const LARGE_ENTRIES = 200;

interface Entry extends FileFacts {
  /** sha256 of a file's content, in hex; "" for others. */
  digest: string;
}

/** A line for the boot, then one for each entry: lists may be long, and others wait meanwhile. */
const readList = async (path: string): Promise<Map<string, Entry>> => {
  const entries = new Map<string, Entry>();
  if (!existsSync(path)) return entries;
  const turn = new FairTurn();
  let isFirst = true;
  for (const line of await linesOf(path, turn)) {
    if (isFirst && line !== bootId()) return new Map();
    if (!isFirst) {
      const entry = JSON.parse(line) as Entry;
      entries.set(entry.path, entry);
    }
    isFirst = false;
    if (turn.isOver) await turn.yield();
  }
  return entries;
};

const LINES_BYTES = 64 * 1024;

const linesOf = async (path: string, turn: FairTurn): Promise<string[]> => {
  const isShort = statSync(path).size <= LINES_BYTES;
  const text = isShort ? readFileSync(path, "utf8") : await readFile(path, "utf8");
  const lines: string[] = [];
  for (let at = 0; at < text.length;) {
    const cut = text.indexOf("\n", at + LINES_BYTES);
    const end = cut < 0 ? text.length : cut;
    for (const line of text.slice(at, end).split("\n")) if (line !== "") lines.push(line);
    at = end + 1;
    if (turn.isOver) await turn.yield();
  }
  return lines;
};

const writeList = async (path: string, entries: Iterable<Entry>): Promise<void> => {
  const turn = new FairTurn();
  const file = await open(path, "w", 0o600);
  try {
    let lines = `${bootId()}\n`;
    for (const entry of entries) {
      lines += `${JSON.stringify(entry)}\n`;
      if (lines.length >= LINES_BYTES) {
        await file.writeFile(lines);
        lines = "";
      }
      if (turn.isOver) await turn.yield();
    }
    await file.writeFile(lines);
  } finally {
    await file.close();
  }
};

const isSame = (a: FileFacts, b: FileFacts): boolean =>
  a.kind === b.kind &&
  a.mode === b.mode &&
  a.uid === b.uid &&
  a.gid === b.gid &&
  a.link === b.link &&
  JSON.stringify(a.xattrs ?? {}) === JSON.stringify(b.xattrs ?? {}) &&
  (a.kind === "directory" || (a.sizeBytes === b.sizeBytes && a.modifiedNs === b.modifiedNs));

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")));

const checkPath = (path: string): void => {
  const parts = path.split("/");
  const isBad = parts.some((part) => part === "" || part === "." || part === "..");
  if (isBad || path.includes("\0")) {
    throw new NaruError("invalid_argument", `"${path}" is not a path inside the build context`);
  }
};

export interface ContextPlace {
  readonly root: string;
  /** Where its list is kept; undefined for a tree that goes with its build. */
  readonly listPath: string | undefined;
  readonly kernel: Pick<FileKernel, "setXattr">;
  readonly dispose: () => void;
  /** Removes a tree that is kept; `dispose` follows. */
  readonly forget?: () => void;
  /** Told once, at the first file of a large tree that is not as it was. */
  readonly onChange?: () => void;
  /** Told at the end: the tree is in use until the promise resolves, which never rejects. */
  readonly onClosing?: (closed: Promise<void>) => void;
}

/** A tree while it is brought up to date. */
export class ContextTree {
  readonly root: string;
  readonly #kernel: Pick<FileKernel, "setXattr">;
  readonly #listPath: string | undefined;
  readonly #known: ReadonlyMap<string, Entry>;
  #sizeBytes = 0;
  readonly #entries = new Map<string, Entry>();
  readonly #open = new Map<string, { fd: number; hasher: Bun.CryptoHasher; sizeBytes: number }>();
  readonly #dispose: () => void;
  readonly #forget: () => void;
  #isOver = false;
  /** The tree is not what its list said, and the list is gone. */
  #isChanged: boolean;
  readonly #onClosing: ContextPlace["onClosing"];
  #onChange: (() => void) | undefined;

  private constructor(place: ContextPlace, known: ReadonlyMap<string, Entry>) {
    this.root = place.root;
    this.#kernel = place.kernel;
    this.#listPath = place.listPath;
    this.#dispose = place.dispose;
    this.#forget = place.forget ?? ((): void => undefined);
    this.#known = known;
    this.#onClosing = place.onClosing;
    this.#isChanged = known.size === 0;
    this.#onChange = known.size > LARGE_ENTRIES ? place.onChange : undefined;
  }

  static async open(place: ContextPlace): Promise<ContextTree> {
    const { root, listPath } = place;
    const known = listPath === undefined ? new Map<string, Entry>() : await readList(listPath);
    if (known.size === 0) {
      if (listPath !== undefined) rmSync(listPath, { force: true });
      await rm(root, { recursive: true, force: true });
    }
    makeContextRoot(root);
    return new ContextTree(place, known);
  }

  /** Parents come before what is in them. True when the content is asked for: `write` and `close` follow. */
  take(facts: FileFacts): boolean {
    checkPath(facts.path);
    this.#checkParent(facts);
    const known = this.#known.get(facts.path);
    const isKnown = known !== undefined && isSame(known, facts) && facts.kind !== "hardlink";
    const entry: Entry = { ...facts, digest: isKnown ? known.digest : "" };
    this.#entries.set(facts.path, entry);
    if (facts.kind === "file") this.#sizeBytes += facts.sizeBytes;
    if (isKnown) return false;
    this.#beforeChange();
    // What is built of the tree depends on its other files.
    if (facts.path !== "Dockerfile") this.#tellChange();
    const path = `${this.root}/${facts.path}`;
    if (known !== undefined && !(known.kind === "directory" && facts.kind === "directory")) {
      rmSync(path, { recursive: true, force: true });
    }
    switch (facts.kind) {
      case "file":
        return true;
      case "directory":
        if (known?.kind !== "directory") mkdirSync(path, { mode: 0o700 });
        break;
      case "symlink":
        symlinkSync(facts.link, path);
        break;
      case "hardlink":
        entry.digest = this.#entries.get(facts.link)?.digest ?? "";
        linkSync(`${this.root}/${facts.link}`, path);
        return false;
    }
    this.#finishEntry(facts);
    return false;
  }

  write(path: string, bytes: Uint8Array): void {
    const open = this.#opened(path);
    open.hasher.update(bytes);
    for (let done = 0; done < bytes.length;) done += writeSync(open.fd, bytes, done);
    open.sizeBytes += bytes.length;
  }

  close(path: string): void {
    const { fd, hasher, sizeBytes } = this.#opened(path);
    closeSync(fd);
    this.#open.delete(path);
    const entry = this.#entries.get(path);
    if (entry === undefined) return;
    // A file that grew while it was read is taken again by the next build.
    if (sizeBytes !== entry.sizeBytes) this.#entries.set(path, { ...entry, modifiedNs: "" });
    const kept = this.#entries.get(path) ?? entry;
    kept.digest = hasher.digest("hex");
    this.#finishEntry(entry);
  }

  /** What was not named any more goes. The tree is the build's until the context is disposed of. */
  async finish(): Promise<BuildContext> {
    const turn = new FairTurn();
    await this.#removeUnnamed(turn);
    const digests = new Map<string, string>();
    let hasNoXattrs = true;
    for (const { path, digest, xattrs } of this.#entries.values()) {
      if (digest !== "") digests.set(path, digest);
      if (xattrs !== undefined) hasNoXattrs = false;
      if (turn.isOver) await turn.yield();
    }
    // The build does not wait for the list, but the next one does, and gets the tree with it.
    const listed = this.#writeList();
    let isListed = false;
    void listed.then(() => (isListed = true));
    const close = (): void => {
      if (this.#sizeBytes > KEPT_TREE_MAX_BYTES) this.#forget();
      this.#dispose();
    };
    const end = (): void => {
      if (isListed) return close();
      const closed = listed.then(close);
      this.#onClosing?.(closed);
    };
    return { root: this.root, digests, hasNoXattrs, hint: "", [Symbol.dispose]: end };
  }

  /** Never rejects: a tree without a list starts empty. */
  async #writeList(): Promise<void> {
    const listPath = this.#listPath;
    if (listPath === undefined || this.#sizeBytes > KEPT_TREE_MAX_BYTES) return;
    try {
      // How old it is says when the tree was last used.
      const seconds = Number(nowNs()) / 1e9;
      if (!this.#isChanged) return utimesSync(listPath, seconds, seconds);
      await writeList(listPath, this.#entries.values());
    } catch {
      rmSync(listPath, { force: true });
    }
  }

  /** Instead of `finish`: a tree in an unknown state is not used again. Safe to call twice. */
  abandon(): void {
    for (const { fd } of this.#open.values()) closeSync(fd);
    this.#open.clear();
    if (this.#isOver) return;
    this.#isOver = true;
    this.#forget();
    this.#dispose();
  }

  async #removeUnnamed(turn: FairTurn): Promise<void> {
    let gone: string | undefined;
    let count = 0;
    for (const [path, { kind }] of this.#known) {
      if (turn.isOver) await turn.yield();
      if (this.#entries.has(path)) continue;
      const parent = parentOf(path);
      // What stood in a directory that is gone went with it.
      const isThere = parent === "" || this.#entries.get(parent)?.kind === "directory";
      if (!isThere) continue;
      this.#beforeChange();
      if (kind !== "directory") {
        await rm(`${this.root}/${path}`, { force: true });
        continue;
      }
      // It may hold a great many files: it goes at once, they go behind the build's back.
      if (gone === undefined) mkdirSync((gone = goneBeside(this.root)), { mode: 0o700 });
      renameSync(`${this.root}/${path}`, `${gone}/${count}`);
      count += 1;
    }
    if (gone !== undefined) discardTree(gone);
  }

  #beforeChange(): void {
    if (this.#isChanged) return;
    this.#isChanged = true;
    if (this.#listPath !== undefined) rmSync(this.#listPath, { force: true });
  }

  #tellChange(): void {
    this.#onChange?.();
    this.#onChange = undefined;
  }

  #checkParent({ path, kind, link }: FileFacts): void {
    if (this.#entries.size >= CONTEXT_ENTRIES_MAX) {
      const remedy = "leave files out with .dockerignore";
      throw new NaruError(
        "resource_exhausted",
        `the build context has more than ${CONTEXT_ENTRIES_MAX} entries: ${remedy}`,
      );
    }
    const parent = parentOf(path);
    if (parent !== "" && this.#entries.get(parent)?.kind !== "directory") {
      throw new NaruError("invalid_argument", `"${path}" came without its directory`);
    }
    if (this.#entries.has(path)) {
      throw new NaruError("invalid_argument", `"${path}" came twice in the build context`);
    }
    const target = kind === "hardlink" ? this.#entries.get(link) : undefined;
    if (kind === "hardlink" && target?.kind !== "file") {
      throw new NaruError("invalid_argument", `"${path}" links to "${link}", which is no file`);
    }
  }

  #opened(path: string): { fd: number; hasher: Bun.CryptoHasher; sizeBytes: number } {
    let open = this.#open.get(path);
    if (open === undefined) {
      const fd = openSync(`${this.root}/${path}`, "wx", 0o600);
      open = { fd, hasher: new Bun.CryptoHasher("sha256"), sizeBytes: 0 };
      this.#open.set(path, open);
    }
    return open;
  }

  /** Owner before mode and capabilities: changing the owner clears both. */
  #finishEntry({ path, kind, mode, uid, gid, modifiedNs, xattrs = {} }: FileFacts): void {
    const file = `${this.root}/${path}`;
    if (uid !== 0 || gid !== 0) lchownSync(file, uid, gid);
    if (kind !== "symlink") chmodSync(file, mode);
    for (const [name, value] of Object.entries(xattrs)) {
      this.#kernel.setXattr(file, name, Buffer.from(value, "base64"));
    }
    const seconds = Number(modifiedNs) / 1e9;
    lutimesSync(file, seconds, seconds);
  }
}
