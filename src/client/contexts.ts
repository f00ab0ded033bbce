/**
 * Docker's context store: `contexts/meta/<sha256 of the name>/meta.json` and
 * `contexts/tls/<the same>/docker/{ca,cert,key}.pem` in the configuration folder.
 */
import { parseHost } from "#client/address.ts";
import type { Address, TlsMaterial } from "#client/connection.ts";
import { NaruError } from "#lib/errors.ts";

export interface ContextEndpoint {
  readonly Host?: string;
  readonly SkipTLSVerify?: boolean;
}

export interface ContextMeta {
  readonly Name: string;
  readonly Metadata?: { readonly Description?: string };
  readonly Endpoints?: Readonly<Record<string, ContextEndpoint | undefined>>;
}

/** Its name in the store's folders. */
export const contextId = (name: string): string =>
  new Bun.CryptoHasher("sha256").update(name).digest("hex");

/** Throws not_found when there is no context of that name. */
export const readContext = async (folder: string, name: string): Promise<ContextMeta> => {
  const file = Bun.file(`${folder}/contexts/meta/${contextId(name)}/meta.json`);
  if (!(await file.exists())) {
    throw new NaruError(
      "not_found",
      `context "${name}": context not found: no metadata in "${folder}/contexts"; ` +
        'choose another with --context, or "default"',
    );
  }
  return (await file.json()) as ContextMeta;
};

export const listContexts = async (folder: string): Promise<ContextMeta[]> => {
  const found: ContextMeta[] = [];
  try {
    for await (const path of new Bun.Glob("*/meta.json").scan(`${folder}/contexts/meta`)) {
      found.push((await Bun.file(`${folder}/contexts/meta/${path}`).json()) as ContextMeta);
    }
  } catch (error) {
    // No folder, no contexts.
    if (Reflect.get(Object(error), "code") !== "ENOENT") throw error;
  }
  return found.toSorted((a, b) => a.Name.localeCompare(b.Name));
};

const tlsOf = async (
  folder: string,
  name: string,
  isSkipped: boolean,
): Promise<TlsMaterial | undefined> => {
  const base = `${folder}/contexts/tls/${contextId(name)}/docker`;
  const material: { ca?: string; cert?: string; key?: string } = {};
  for (const part of ["ca", "cert", "key"] as const) {
    const file = Bun.file(`${base}/${part}.pem`);
    if (await file.exists()) material[part] = await file.text();
  }
  if (Object.keys(material).length === 0 && !isSkipped) return undefined;
  return { ...material, isVerified: !isSkipped };
};

/** The engine's address that a context names. */
export const contextEndpoint = async (folder: string, name: string): Promise<Address> => {
  const meta = await readContext(folder, name);
  const endpoint = meta.Endpoints?.["docker"];
  if (endpoint?.Host === undefined || endpoint.Host === "") {
    throw new NaruError("invalid_argument", `context "${name}" has no docker endpoint`);
  }
  return parseHost(endpoint.Host, await tlsOf(folder, name, endpoint.SkipTLSVerify === true));
};
