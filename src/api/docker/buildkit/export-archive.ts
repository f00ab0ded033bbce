/** The exporters "oci" and "docker": an archive, or a layout in a directory of the client. */
import { ContentStore } from "#api/docker/buildkit/content-store.ts";
import { descriptorFields } from "#api/docker/buildkit/export-image.ts";
import { exporterKind, imageOutputOf } from "#api/docker/buildkit/export-options.ts";
import { sendStream } from "#api/docker/buildkit/file-send.ts";
import type { ExporterOptions } from "#api/docker/buildkit/jobs.ts";
import { pack } from "#api/docker/buildkit/pack.ts";
import type { SolveContext } from "#api/docker/buildkit/solve.ts";
import { ShownVertex } from "#api/docker/buildkit/vertices.ts";
import type { BuildResult } from "#build/build.ts";
import { NaruError } from "#lib/errors.ts";

/** The id under which clients serve the directory of such an output. */
const EXPORT_STORE = "export";

export const exportArchive = async (
  context: SolveContext,
  exporter: ExporterOptions,
  result: BuildResult,
  position: number,
): Promise<Record<string, string>> => {
  const { backend, job, session, signal } = context;
  const kind = exporterKind(exporter.type) === "docker" ? "docker" : "oci";
  const output = imageOutputOf(exporter);
  if (kind === "docker" && (result.others ?? []).length > 0) {
    const reason = "a Docker archive holds one platform: export several as type=oci";
    throw new NaruError("invalid_argument", reason);
  }
  const what = `exporting to ${kind} image format`;
  const vertex = new ShownVertex(job.log, job.ref, what);
  return await vertex.around(async () => {
    using packed = await pack(context, result, output);
    const { bundle, isIndex } = packed;
    await vertex.status(`exporting manifest ${bundle.root.digest}`, 0, 0, true);
    if (output.isTar) {
      const bundles = await backend.images.bundles();
      using archive = bundles.archive(bundle, output.names, kind);
      await vertex.status("sending tarball", 0, archive.sizeBytes, false);
      await sendStream(context, position, archive.stream(signal));
      await vertex.status("sending tarball", archive.sizeBytes, archive.sizeBytes, true);
    } else {
      if (session === undefined) throw new NaruError("invalid_argument", "no session to write to");
      await new ContentStore(session, EXPORT_STORE).writeBundle(bundle, signal);
    }
    return {
      ...descriptorFields(bundle.root),
      ...(isIndex ? {} : { "containerimage.config.digest": result.imageId }),
    };
  });
};
