/**
 * Projects as OCI artifacts: what `docker compose publish` pushes and `oci://` names read (docker compose
 * 2.40, internal/oci/push.go and pkg/remote/oci.go). One manifest, a layer for each file: compose files are
 * put together in their order; files that `extends` names and env files lie beside them. Pure.
 */
import { NaruError } from "#lib/errors.ts";

export const PROJECT_TYPE = "application/vnd.docker.compose.project";
export const FILE_TYPE = "application/vnd.docker.compose.file+yaml";
export const ENV_FILE_TYPE = "application/vnd.docker.compose.envfile";
/** Of the empty config where a manifest cannot say its artifact's type (OCI 1.0). */
const CONFIG_TYPE = "application/vnd.docker.compose.config.empty.v1+json";
const EMPTY_TYPE = "application/vnd.oci.empty.v1+json";
const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
export const EMPTY_CONFIG = "{}";

const VERSION_KEY = "com.docker.compose.version";
const FILE_KEY = "com.docker.compose.file";
const ENV_FILE_KEY = "com.docker.compose.envfile";
const EXTENDS_KEY = "com.docker.compose.extends";

export const COMPOSE_FILE = "compose.yaml";

/** Of all its files together: they are read into memory. */
export const PROJECT_MAX_BYTES = 64 * 1024 * 1024;

export interface ArtifactFile {
  readonly kind: "compose" | "extended" | "env";
  /** Without a folder. */
  readonly name: string;
  readonly text: string;
}

interface Layer {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>> | null;
}

interface Manifest {
  readonly artifactType?: string;
  readonly config?: { readonly mediaType?: string };
  readonly layers?: readonly Layer[];
  readonly manifests?: readonly { readonly digest: string; readonly artifactType?: string }[];
}

export type OciVersion = "1.0" | "1.1";

const sha256 = (text: string): string =>
  `sha256:${new Bun.CryptoHasher("sha256").update(text).digest("hex")}`;

export const describe = (mediaType: string, text: string) => ({
  mediaType,
  digest: sha256(text),
  size: Buffer.byteLength(text),
});

const annotationsOf = ({ kind, name }: ArtifactFile, version: string): Record<string, string> => ({
  ...(kind === "extended" ? { [EXTENDS_KEY]: "true" } : {}),
  [kind === "env" ? ENV_FILE_KEY : FILE_KEY]: name,
  [VERSION_KEY]: version,
});

export interface ManifestOptions {
  readonly ociVersion: OciVersion;
  /** Of the tool, for the annotations. */
  readonly version: string;
  /** RFC 3339 */
  readonly createdAt: string;
}

/** The manifest's exact text. */
export const artifactManifest = (
  files: readonly ArtifactFile[],
  { ociVersion, version, createdAt }: ManifestOptions,
): string =>
  JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    ...(ociVersion === "1.1" ? { artifactType: PROJECT_TYPE } : {}),
    config: {
      ...describe(ociVersion === "1.1" ? EMPTY_TYPE : CONFIG_TYPE, EMPTY_CONFIG),
      data: Buffer.from(EMPTY_CONFIG).toString("base64"),
    },
    layers: files.map((file) => ({
      ...describe(file.kind === "env" ? ENV_FILE_TYPE : FILE_TYPE, file.text),
      annotations: annotationsOf(file, version),
    })),
    annotations: { "org.opencontainers.image.created": createdAt },
  });

const parse = (text: string, name: string): Manifest => {
  try {
    return JSON.parse(text) as Manifest;
  } catch (cause) {
    throw new NaruError("data_loss", `"${name}": its manifest is no JSON`, { cause });
  }
};

/** The digest of the project in an index of several things; undefined when it is no index. */
export const projectIn = (text: string, name: string): string | undefined => {
  const { manifests } = parse(text, name);
  if (manifests === undefined) return undefined;
  const found = manifests.findLast(({ artifactType }) => artifactType === PROJECT_TYPE);
  if (found !== undefined) return found.digest;
  throw new NaruError("invalid_argument", `"${name}" holds no compose project, only images`);
};

/** Throws invalid_argument when the manifest is not that of a project, or of one that is too large. */
export const checkProject = (text: string, name: string): void => {
  const { artifactType = "", config, layers = [] } = parse(text, name);
  const type = artifactType === "" ? (config?.mediaType ?? "") : artifactType;
  if (type !== (artifactType === "" ? CONFIG_TYPE : PROJECT_TYPE)) {
    throw new NaruError("invalid_argument", `"${name}" is no compose project but "${type}"`);
  }
  const sizeBytes = layers.reduce((sum, { size }) => sum + size, 0);
  if (sizeBytes <= PROJECT_MAX_BYTES) return;
  const reason = `its files have ${sizeBytes} bytes, ${PROJECT_MAX_BYTES} are the most that is read`;
  throw new NaruError(
    "invalid_argument",
    `"${name}" is too large for a compose project: ${reason}`,
  );
};

/** Names come from elsewhere: all files lie in one folder. */
const checkedName = (name: string | undefined, artifact: string): string => {
  if (name !== undefined && /^[^/\\\0]+$/.test(name) && name !== "." && name !== "..") return name;
  throw new NaruError(
    "invalid_argument",
    `"${artifact}" has a file called ${JSON.stringify(name ?? "")}, which is no name of a file in its folder`,
  );
};

/** File names to texts; `blobOf` gives a layer's content by its digest. */
export const filesOfArtifact = (
  text: string,
  artifact: string,
  blobOf: (digest: string) => string,
): ReadonlyMap<string, string> => {
  const files = new Map<string, string>();
  for (const { mediaType, digest, annotations } of parse(text, artifact).layers ?? []) {
    if (mediaType === FILE_TYPE) {
      const isExtended = annotations?.[EXTENDS_KEY] !== undefined;
      const name = isExtended ? checkedName(annotations[FILE_KEY], artifact) : COMPOSE_FILE;
      const before = isExtended ? undefined : files.get(name);
      const own = blobOf(digest);
      files.set(name, before === undefined ? own : `${before}\n---\n${own}`);
    } else if (mediaType === ENV_FILE_TYPE) {
      files.set(checkedName(annotations?.[ENV_FILE_KEY], artifact), blobOf(digest));
    }
  }
  if (files.has(COMPOSE_FILE)) return files;
  throw new NaruError("invalid_argument", `"${artifact}" has no compose file in it`);
};
