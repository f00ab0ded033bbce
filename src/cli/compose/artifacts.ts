/** Compose files that are artifacts of a registry ("oci://HOST/NAME:TAG"), read through the engine. */
import type { CliContext } from "#cli/context.ts";
import { registryAuthHeader } from "#cli/registry/credentials.ts";
import { NaruError, toNaruError } from "#lib/errors.ts";
import { lateFs } from "#lib/late-builtins.ts";
import { TarReader } from "#lib/tar/reader.ts";
import { COMPOSE_FILE, checkProject, filesOfArtifact, projectIn } from "#spec/compose/artifact.ts";
import { formatReference, parseReference, withDefaultTag } from "#spec/image/reference.ts";

const MAX_FILE_BYTES = 16 * 1024 * 1024;
const BLOB = /^blobs\/(sha256)\/([0-9a-f]{64})$/;

interface Found {
  readonly name: string;
  readonly digest: string;
  readonly text: string;
}

const manifestOf = async (context: CliContext, name: string): Promise<Found> => {
  const client = await context.client();
  const headers = await registryAuthHeader(context, name);
  const { Digest, Text } = await client.call("manifestGet", { name, headers });
  return { name, digest: Digest, text: Text };
};

const blobsOf = async (context: CliContext, name: string): Promise<Map<string, string>> => {
  const client = await context.client();
  const headers = await registryAuthHeader(context, name);
  const { body } = await client.call("imageExport", { query: { source: name }, headers });
  const blobs = new Map<string, string>();
  for await (const file of new TarReader(body)) {
    const [, algorithm, hex] = BLOB.exec(file.entry.name) ?? [];
    if (algorithm === undefined || hex === undefined) continue;
    blobs.set(`${algorithm}:${hex}`, Buffer.from(await file.bytes(MAX_FILE_BYTES)).toString());
  }
  return blobs;
};

/** The folder of that digest. Made whole under another name first: another command may be making it too. */
const written = (folder: string, files: ReadonlyMap<string, string>): void => {
  const { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } = lateFs();
  const parent = folder.slice(0, folder.lastIndexOf("/"));
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  const half = mkdtempSync(`${parent}/.half-`);
  try {
    for (const [name, text] of files) writeFileSync(`${half}/${name}`, text, { mode: 0o600 });
    try {
      renameSync(half, folder);
    } catch (error) {
      if (!existsSync(folder)) throw error;
    }
  } finally {
    rmSync(half, { recursive: true, force: true });
  }
};

/** The path of its compose file on this machine; each digest is kept once, under the user's cache folder. */
export const fetchArtifact = async (context: CliContext, address: string): Promise<string> => {
  try {
    return await fetched(context, address);
  } catch (thrown) {
    const { code, message, details } = toNaruError(thrown);
    const reason = message.includes(address) ? message : `cannot read "${address}": ${message}`;
    throw new NaruError(code, reason, { cause: thrown, details });
  }
};

const fetched = async (context: CliContext, address: string): Promise<string> => {
  const reference = withDefaultTag(parseReference(address.slice("oci://".length)));
  const { domain, path } = reference;
  let found = await manifestOf(context, formatReference(reference));
  const project = projectIn(found.text, address);
  if (project !== undefined) found = await manifestOf(context, `${domain}/${path}@${project}`);
  checkProject(found.text, address);
  const { env } = context;
  const cache = env["XDG_CACHE_HOME"] ?? `${env["HOME"] ?? "/root"}/.cache`;
  const folder = `${cache}/naru/compose/oci-${found.digest.replace(/^sha256:/, "")}`;
  if (!lateFs().existsSync(`${folder}/${COMPOSE_FILE}`)) {
    const blobs = await blobsOf(context, `${domain}/${path}@${found.digest}`);
    const blobOf = (digest: string): string => {
      const text = blobs.get(digest);
      if (text !== undefined) return text;
      throw new NaruError("data_loss", `"${address}" lacks its file ${digest}`);
    };
    written(folder, filesOfArtifact(found.text, address, blobOf));
  }
  return `${folder}/${COMPOSE_FILE}`;
};
