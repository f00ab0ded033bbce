/** Writing Docker's context store: what `context create`, `update`, `rm` and `import` change. See contexts.ts. */
import { mkdirSync, rmSync } from "node:fs";
import { contextId, type ContextMeta } from "#client/contexts.ts";
import { writeFileAtomic } from "#lib/atomic-file.ts";
import { NaruError } from "#lib/errors.ts";

/** PEM files by their names in the store: "ca.pem", "cert.pem", "key.pem". */
export type TlsFiles = Readonly<Record<string, string>>;

export const TLS_FILES = ["ca.pem", "cert.pem", "key.pem"] as const;

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$/;

/** Throws invalid_argument for what is no name of a context of one's own. */
export const checkContextName = (name: string): void => {
  if (name === "default") {
    throw new NaruError("invalid_argument", '"default" is a reserved context name');
  }
  if (!NAME.test(name)) {
    throw new NaruError(
      "invalid_argument",
      `context name "${name}" is invalid, names are validated against regexp "${NAME.source}"`,
    );
  }
};

export const contextPaths = (folder: string, name: string) => ({
  meta: `${folder}/contexts/meta/${contextId(name)}`,
  tls: `${folder}/contexts/tls/${contextId(name)}`,
});

/** Makes or replaces the context; without `tls` its certificates stay as they are. */
export const writeContext = (folder: string, meta: ContextMeta, tls?: TlsFiles): void => {
  const paths = contextPaths(folder, meta.Name);
  if (tls !== undefined) {
    rmSync(paths.tls, { recursive: true, force: true });
    for (const [file, text] of Object.entries(tls)) {
      mkdirSync(`${paths.tls}/docker`, { recursive: true, mode: 0o700 });
      writeFileAtomic(`${paths.tls}/docker/${file}`, text);
    }
  }
  mkdirSync(paths.meta, { recursive: true, mode: 0o755 });
  writeFileAtomic(`${paths.meta}/meta.json`, JSON.stringify(meta), { mode: 0o644 });
};

export const readTlsFiles = async (folder: string, name: string): Promise<TlsFiles> => {
  const { tls } = contextPaths(folder, name);
  const found: Record<string, string> = {};
  for (const part of TLS_FILES) {
    const file = Bun.file(`${tls}/docker/${part}`);
    if (await file.exists()) found[part] = await file.text();
  }
  return found;
};

export const removeContext = (folder: string, name: string): void => {
  const paths = contextPaths(folder, name);
  rmSync(paths.meta, { recursive: true, force: true });
  rmSync(paths.tls, { recursive: true, force: true });
};
