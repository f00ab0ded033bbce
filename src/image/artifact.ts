/**
 * Artifacts: what registries keep that is no container image (charts, modules, signatures). Under a name of its own one is kept as it
 * came: its id is its manifest's digest, and the manifest stands where an image has its config. It is listed, tagged, pushed,
 * served and removed as images are, and nothing can run from it.
 */
import { NaruError } from "#lib/errors.ts";
import type { ImageRow } from "#metadata/images.ts";
import type { ImageConfig } from "#spec/image/config.ts";

export const isArtifact = ({ config }: Pick<ImageRow, "config">): boolean =>
  config.artifactType !== undefined;

/** Throws invalid_argument for an artifact; `what` cannot be done with it. */
export const refuseArtifact = (
  name: string,
  { artifactType }: ImageConfig,
  what = "run: it can be listed, copied and pushed",
): void => {
  if (artifactType === undefined) return;
  throw new NaruError(
    "invalid_argument",
    `"${name}" is no container image, but an artifact of type "${artifactType}", which cannot be ${what}`,
  );
};
