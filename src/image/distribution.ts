/** `GET /distribution/{name}/json`: the descriptor behind a name at a registry, and its platforms. */
import { NaruError } from "#lib/errors.ts";
import type { Remote, Repository } from "#remote/remote.ts";
import type { AuthConfig } from "#spec/docker/registry-auth.ts";
import type { DistributionInspect } from "#spec/docker/image.ts";
import { asArray, asObject, decodeJson } from "#spec/image/decode.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import { isConfigType } from "#spec/image/media-type.ts";
import { parseReference, withDefaultTag } from "#spec/image/reference.ts";

const CONFIG_MAX_BYTES = 4 * 1024 * 1024;
const FIELDS = ["architecture", "os", "os.version", "os.features", "variant"];

const pick = (value: unknown): Readonly<Record<string, unknown>> => {
  const object = asObject(value, "platform");
  return Object.fromEntries(
    FIELDS.flatMap((field) => (object[field] ? [[field, object[field]] as const] : [])),
  );
};

const platformsOf = async (
  repository: Repository,
  text: string,
  mediaType: string,
  signal: AbortSignal,
): Promise<DistributionInspect["Platforms"]> => {
  const manifest = parseManifest(text, mediaType);
  if (manifest.kind === "index") {
    const entries = asArray(asObject(decodeJson(text, "index"), "index")["manifests"], "manifests");
    return entries.flatMap((entry) => {
      const { platform } = asObject(entry, "index entry");
      return platform === undefined || platform === null ? [] : [pick(platform)];
    });
  }
  if (!isConfigType(manifest.config.mediaType)) return [];
  const config = await repository.blobText(manifest.config, CONFIG_MAX_BYTES, signal);
  return [pick(decodeJson(config, "image config"))];
};

export const inspectDistribution = async (
  remote: Remote,
  name: string,
  credentials: AuthConfig,
  signal: AbortSignal,
): Promise<DistributionInspect> => {
  const reference = withDefaultTag(parseReference(name));
  if (reference.tag === undefined && reference.digest === undefined) {
    throw new NaruError("invalid_argument", `unknown image reference format: ${name}`);
  }
  const repository = remote.repository(reference, credentials);
  const { descriptor, text } = await repository.manifest(
    reference.digest ?? reference.tag ?? "",
    signal,
  );
  const { digest, size } = descriptor;
  const { mediaType } = parseManifest(text, descriptor.mediaType);
  const Platforms = await platformsOf(repository, text, mediaType, signal);
  return { Descriptor: { mediaType, digest, size }, Platforms };
};
