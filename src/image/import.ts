/** `docker import`: a root file system's tar becomes an image of one layer. */
import { parseTagTarget } from "#image/catalog.ts";
import type { ImageDependencies } from "#image/dependencies.ts";
import { publishImageEvent } from "#image/event.ts";
import type { ArchiveSource, ImportOptions } from "#image/image.ts";
import { registerImage } from "#image/register.ts";
import { unpackLayers } from "#image/unpack.ts";
import { runWorker } from "#image/worker-client.ts";
import { now } from "#lib/clock.ts";
import { applyChanges } from "#spec/image/change.ts";
import type { HistoryEntry, ImageConfig } from "#spec/image/config.ts";
import type { Digest } from "#spec/image/digest.ts";
import { OCI_LAYER } from "#spec/image/media-type.ts";
import { HOST_PLATFORM, type Platform } from "#spec/image/platform.ts";
import { formatReference } from "#spec/image/reference.ts";

/** The whole name to give, if any. Throws before any work is done. */
export const targetOf = (reference: string | undefined): string[] =>
  reference === undefined || reference === "" ? [] : [formatReference(parseTagTarget(reference))];

export const platformFields = (
  platform: Platform,
): Pick<ImageConfig, "architecture" | "os" | "variant"> => ({
  architecture: platform.architecture,
  ...(platform.variant === undefined ? {} : { variant: platform.variant }),
  os: platform.os,
});

/** See `Images.import`. */
export const importImage = async (
  dependencies: ImageDependencies,
  source: ArchiveSource,
  options: ImportOptions,
): Promise<Digest> => {
  const { content, layers, leases } = dependencies;
  const { signal } = options;
  // Names and changes first: nobody waits for a large tar to hear of a typing error.
  const references = targetOf(options.reference);
  const runConfig = applyChanges(options.config ?? {}, options.changes ?? []);
  await using ingest = content.openIngest();
  const { blob, staged } = await runWorker(
    "receive",
    { directory: ingest.directory, form: layers.newLayers().form },
    { command: dependencies.workerCommand, source, signal },
  );
  const diffId = blob.digest;
  await using undo = new AsyncDisposableStack();
  using lease = leases.acquire([]);
  await unpackLayers({ dependencies, signal, undo, lease }, [
    [{ diffId, digest: diffId, path: blob.file, staged }],
  ]);
  const createdAt = options.createdAt ?? now();
  const comment = options.message ?? "";
  const history: HistoryEntry =
    comment === "" ? { created: createdAt } : { created: createdAt, comment };
  const config: ImageConfig = {
    created: createdAt,
    ...platformFields(options.platform ?? HOST_PLATFORM),
    config: runConfig,
    rootfs: { type: "layers", diff_ids: [diffId] },
    history: [history],
    ...(comment === "" ? {} : { comment }),
  };
  ingest.commit(blob.file, diffId, blob.sizeBytes);
  const id = registerImage(
    dependencies,
    {
      configText: JSON.stringify(config),
      layers: [
        {
          diffId,
          sizeBytes: layers.layer(diffId)?.sizeBytes ?? 0,
          blobs: [{ digest: diffId, mediaType: OCI_LAYER, sizeBytes: blob.sizeBytes }],
        },
      ],
    },
    references,
  );
  undo.move();
  publishImageEvent(dependencies, "import", id);
  return id;
};
