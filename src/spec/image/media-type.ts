/** Media types of image-spec 1.1 (media-types.md) and of Docker's image manifest v2 schema 2. */

export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
export const OCI_LAYER = "application/vnd.oci.image.layer.v1.tar";
export const OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";

export const DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
export const DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar";
export const DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip";

const INDEXES: readonly string[] = [OCI_INDEX, DOCKER_MANIFEST_LIST];
const MANIFESTS: readonly string[] = [OCI_MANIFEST, DOCKER_MANIFEST];
const CONFIGS: readonly string[] = [OCI_CONFIG, DOCKER_CONFIG];

export const isIndexType = (type: string): boolean => INDEXES.includes(type);
export const isManifestType = (type: string): boolean => MANIFESTS.includes(type);
export const isConfigType = (type: string): boolean => CONFIGS.includes(type);

/** OCI's layer type for a compression; the spec names none, gzip and zstd, others follow its pattern. */
export const layerTypeOf = (compression: string): string =>
  compression === "none" ? OCI_LAYER : `${OCI_LAYER}+${compression}`;

const DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
const NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.";

/**
 * A layer that its maker lets nobody pass on (layer.md#non-distributable-layers, Docker's foreign layers): fetched from
 * its URLs, and not pushed.
 */
export const isUrlLayer = (layer: {
  readonly mediaType: string;
  readonly urls?: readonly string[];
}): boolean =>
  (layer.mediaType === DOCKER_FOREIGN_LAYER || layer.mediaType.startsWith(NONDISTRIBUTABLE)) &&
  (layer.urls ?? []).length > 0;
