/** Image configs: image-spec 1.1 config.md plus the fields Docker's own configs carry. */
import { NaruError } from "#lib/errors.ts";
import type { ContainerConfig } from "#spec/docker/container-config.ts";
import {
  type JsonObject,
  asArray,
  asDigest,
  asObject,
  asOptionalString,
  decodeJson,
} from "#spec/image/decode.ts";
import type { Digest } from "#spec/image/digest.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import { type Platform, decodePlatform } from "#spec/image/platform.ts";

export interface HistoryEntry {
  readonly created?: string;
  readonly author?: string;
  readonly created_by?: string;
  readonly comment?: string;
  /** True: this step made no layer. */
  readonly empty_layer?: boolean;
}

/** The document as it stands; fields naru does not know stay in the text it was parsed from. */
export interface ImageConfig {
  readonly created?: string;
  readonly author?: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly os: string;
  readonly "os.version"?: string;
  readonly config?: Partial<ContainerConfig>;
  readonly rootfs: { readonly type: "layers"; readonly diff_ids: readonly Digest[] };
  readonly history?: readonly HistoryEntry[];
  /** Docker's. */
  readonly comment?: string;
  readonly docker_version?: string;
  readonly container?: string;
  readonly container_config?: Partial<ContainerConfig>;
  /** Of what stands in the place of an artifact's config, see `parseStoredConfig`. */
  readonly artifactType?: string;
}

const LIST_FIELDS = ["Env", "Cmd", "Entrypoint", "OnBuild", "Shell"] as const;
const TEXT_FIELDS = ["User", "WorkingDir", "StopSignal", "Hostname", "Domainname"] as const;

const checkStringList = (value: unknown, what: string): void => {
  if (!asArray(value, what).every((item) => typeof item === "string")) {
    throw new NaruError("invalid_argument", `invalid ${what}: expected a list of strings`);
  }
};

const checkRunConfig = (config: JsonObject, what: string): void => {
  for (const field of LIST_FIELDS) checkStringList(config[field], `${what}.${field}`);
  for (const field of TEXT_FIELDS) asOptionalString(config[field], `${what}.${field}`);
  for (const field of ["Labels", "ExposedPorts", "Volumes"]) {
    const value = config[field];
    if (value !== undefined && value !== null) asObject(value, `${what}.${field}`);
  }
  const labels = config["Labels"] ?? {};
  checkStringList(Object.values(asObject(labels, `${what}.Labels`)), `${what}.Labels`);
};

/** Parses and checks what naru relies on; throws invalid_argument naming the field. */
export const parseImageConfig = (text: string): ImageConfig => {
  const object = asObject(decodeJson(text, "image config"), "image config");
  const rootfs = asObject(object["rootfs"], "image config rootfs");
  asArray(rootfs["diff_ids"], "rootfs.diff_ids").forEach((item, index) =>
    asDigest(item, `rootfs.diff_ids[${index}]`),
  );
  if (rootfs["type"] !== "layers") {
    throw new NaruError("invalid_argument", 'invalid image config: rootfs.type is not "layers"');
  }
  for (const entry of asArray(object["history"], "image config history")) {
    asObject(entry, "image config history entry");
  }
  const config = object["config"];
  if (config !== undefined && config !== null) {
    checkRunConfig(asObject(config, "image config config"), "config");
  }
  for (const field of ["created", "author", "comment", "docker_version"]) {
    asOptionalString(object[field], `image config ${field}`);
  }
  const platform = decodePlatform(object, "image config");
  const diffIds = (rootfs["diff_ids"] ?? []) as readonly Digest[];
  return {
    ...object,
    architecture: asOptionalString(object["architecture"], "image config architecture") ?? "",
    os: platform.os,
    rootfs: { type: "layers", diff_ids: diffIds },
  } as ImageConfig;
};

/**
 * What the store has as an image's config: a config, or, of an artifact (image-spec 1.1 manifest.md#guidelines-for-artifact-usage),
 * its manifest. That has no rootfs and stands for no file system: nothing can run from it.
 */
export const parseStoredConfig = (text: string): ImageConfig => {
  const object = asObject(decodeJson(text, "image config"), "image config");
  if (object["rootfs"] !== undefined) return parseImageConfig(text);
  const manifest = parseManifest(text);
  const type = manifest.kind === "manifest" ? manifest.config.mediaType : manifest.mediaType;
  const created = manifest.annotations["org.opencontainers.image.created"];
  return {
    architecture: "",
    os: "",
    rootfs: { type: "layers", diff_ids: [] },
    artifactType: manifest.artifactType ?? type,
    ...(created === undefined ? {} : { created }),
  };
};

export const platformOf = (config: ImageConfig): Platform =>
  decodePlatform(config as unknown as JsonObject, "image config");

/** History entries paired with the layers they made; steps beyond the layers' number pair with none. */
export const historyWithLayers = (
  config: ImageConfig,
): readonly { readonly entry: HistoryEntry; readonly layerIndex: number | undefined }[] => {
  let next = 0;
  const count = config.rootfs.diff_ids.length;
  return (config.history ?? []).map((entry) => {
    if (entry.empty_layer === true || next >= count) return { entry, layerIndex: undefined };
    next += 1;
    return { entry, layerIndex: next - 1 };
  });
};
