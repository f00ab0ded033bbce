/**
 * A context whose client tells facts first, and then sends the content of those files alone that are asked for: the
 * tree of the last build with the same key has the others. The body is the facts, a JSON array a line
 * (`[path, kind, mode, size, modifiedNs, link]`), then a tar whose names are numbers of facts.
 */
import type { Builds } from "#build/build.ts";
import type { BuildContext } from "#build/context.ts";
import type { ContextTree, FileFacts } from "#build/kept-context.ts";
import { NaruError } from "#lib/errors.ts";
import { FairTurn } from "#lib/fair-turn.ts";
import { TarParser } from "#lib/tar/parser.ts";

const FACTS_MAX_BYTES = 128 * 1024 * 1024;
const KINDS: Readonly<Record<string, FileFacts["kind"]>> = {
  f: "file",
  d: "directory",
  l: "symlink",
};
const MODE_BITS = 0o7777;

export interface FactsSource {
  /** A digest in hex. */
  readonly key: string;
  /** Of the facts, at the beginning of `body`. */
  readonly lengthBytes: number;
  readonly body: AsyncIterator<Uint8Array>;
  /** Tells the client which facts' content is wanted. */
  readonly ask: (wanted: readonly number[]) => Promise<void>;
  readonly signal: AbortSignal;
}

const badFact = (line: string): NaruError =>
  new NaruError("invalid_argument", `malformed fact of the build context: ${line.slice(0, 200)}`);

const factOf = (line: string): FileFacts => {
  const value = JSON.parse(line) as readonly unknown[];
  const [path, kind, mode, sizeBytes, modifiedNs, link] = value;
  const known = typeof kind === "string" ? KINDS[kind] : undefined;
  if (
    known === undefined ||
    typeof path !== "string" ||
    typeof mode !== "number" ||
    typeof sizeBytes !== "number" ||
    !Number.isSafeInteger(sizeBytes) ||
    sizeBytes < 0 ||
    typeof modifiedNs !== "string" ||
    !/^-?\d{1,20}$/.test(modifiedNs) ||
    typeof link !== "string"
  ) {
    throw badFact(line);
  }
  return { path, kind: known, mode: mode & MODE_BITS, uid: 0, gid: 0, sizeBytes, modifiedNs, link };
};

/** The first bytes of the body, and what came along behind them. */
const readFacts = async ({
  lengthBytes,
  body,
}: FactsSource): Promise<{ text: string; rest: Uint8Array }> => {
  if (!Number.isSafeInteger(lengthBytes) || lengthBytes < 0 || lengthBytes > FACTS_MAX_BYTES) {
    throw new NaruError(
      "resource_exhausted",
      `the facts of a build context may have ${FACTS_MAX_BYTES} bytes: leave files out with .dockerignore`,
    );
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  while (size < lengthBytes) {
    const next = await body.next();
    if (next.done === true) throw new NaruError("invalid_argument", "the body ends in the facts");
    chunks.push(new Uint8Array(next.value));
    size += next.value.length;
  }
  const bytes = Buffer.concat(chunks);
  return { text: bytes.toString("utf8", 0, lengthBytes), rest: bytes.subarray(lengthBytes) };
};

/** By number: files whose content is to come. */
const takeFacts = async (
  tree: ContextTree,
  text: string,
  signal: AbortSignal,
): Promise<Map<string, FileFacts>> => {
  const wanted = new Map<string, FileFacts>();
  const turn = new FairTurn();
  let index = 0;
  for (let at = 0; at < text.length;) {
    const newline = text.indexOf("\n", at);
    const end = newline < 0 ? text.length : newline;
    const facts = factOf(text.slice(at, end));
    if (tree.take(facts)) wanted.set(String(index), facts);
    at = end + 1;
    index += 1;
    if (!turn.isOver) continue;
    signal.throwIfAborted();
    await turn.yield();
  }
  return wanted;
};

const takeContent = async (
  tree: ContextTree,
  wanted: Map<string, FileFacts>,
  { body, signal }: FactsSource,
  head: Uint8Array,
): Promise<void> => {
  let current: FileFacts | undefined;
  const parser = new TarParser({
    entry: ({ name }) => {
      current = wanted.get(name);
      wanted.delete(name);
      if (current === undefined) throw badFact(`content that was not asked for: ${name}`);
    },
    data: (bytes) => current !== undefined && tree.write(current.path, bytes),
    entryEnd: () => current !== undefined && tree.close(current.path),
  });
  parser.push(head);
  for (let next = await body.next(); next.done !== true; next = await body.next()) {
    parser.push(next.value);
    signal.throwIfAborted();
  }
  parser.end();
  const [missing] = wanted.values();
  if (missing === undefined) return;
  throw new NaruError("invalid_argument", `the content of "${missing.path}" did not come`);
};

/** The context is the caller's to dispose of. */
export const receiveByFacts = async (
  builds: Builds,
  source: FactsSource,
): Promise<BuildContext> => {
  if (!/^[0-9a-f]{64}$/.test(source.key)) {
    throw new NaruError("invalid_argument", "the key of a build context is a digest in hex");
  }
  const { text, rest } = await readFacts(source);
  const tree = await builds.contextTree(source.key);
  try {
    const wanted = await takeFacts(tree, text, source.signal);
    await source.ask([...wanted.keys()].map(Number));
    // Nothing is to come but the end of a tar, which nobody waits for.
    if (wanted.size > 0) await takeContent(tree, wanted, source, rest);
    return await tree.finish();
  } catch (error) {
    tree.abandon();
    throw error;
  }
};
