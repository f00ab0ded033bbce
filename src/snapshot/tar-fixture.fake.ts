/** Archives for this room's tests. */
import { mkdtempSync, rmSync } from "node:fs";
import { type TarEntry, plainEntry } from "#lib/tar/entry.ts";
import { TAR_END, tarHeader, tarPadding } from "#lib/tar/writer.ts";

export type TarInput = Partial<Omit<TarEntry, "xattrs">> & {
  readonly name: string;
  readonly content?: string;
  readonly xattrs?: Readonly<Record<string, string>>;
};

const MTIME = { seconds: 1_600_000_000, nanoseconds: 0 };

const oneEntry = ({ content = "", xattrs = {}, ...entry }: TarInput): Uint8Array => {
  const body = Buffer.from(content);
  const values = Object.entries(xattrs).map(([k, v]) => [k, Buffer.from(v)] as const);
  const own = { mtime: MTIME, ...entry, size: body.length, xattrs: new Map(values) };
  const header = tarHeader(plainEntry(entry.name, own));
  return Buffer.concat([header, body, tarPadding(body.length)]);
};

export const tarOf = (...entries: readonly TarInput[]): Uint8Array =>
  Buffer.concat([...entries.map(oneEntry), TAR_END]);

export const file = (name: string, content = "", rest: Partial<TarInput> = {}): TarInput => ({
  ...rest,
  name,
  content,
});

export const directory = (name: string, rest: Partial<TarInput> = {}): TarInput => ({
  mode: 0o755,
  ...rest,
  name,
  type: "directory",
});

export const symlink = (name: string, linkName: string): TarInput => ({
  name,
  linkName,
  type: "symlink",
});

export const hardLink = (name: string, linkName: string): TarInput => ({
  name,
  linkName,
  type: "hard link",
});

/** A directory of one test, removed with everything below it. */
export const temporary = (): { readonly path: string } & Disposable => {
  const path = mkdtempSync("/tmp/naru-snapshot-");
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
};

export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}
