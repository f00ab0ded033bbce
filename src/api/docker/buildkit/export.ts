/** What becomes of a build's result: an image with names, an archive or files for the client. */
import { exportArchive } from "#api/docker/buildkit/export-archive.ts";
import { exportImage } from "#api/docker/buildkit/export-image.ts";
import { exporterKind, imageOutputOf } from "#api/docker/buildkit/export-options.ts";
import { exportFiles } from "#api/docker/buildkit/export-files.ts";
import type { ExporterOptions, Job } from "#api/docker/buildkit/jobs.ts";
import { resultsOf } from "#api/docker/buildkit/pack.ts";
import { stateOf } from "#api/docker/buildkit/state.ts";
import type { SolveContext } from "#api/docker/buildkit/solve.ts";
import type { BuildResult } from "#build/build.ts";

/** All exporters one after the other; what they tell the client, merged. */
export const exportResult = async (
  context: SolveContext,
  job: Job,
  result: BuildResult,
): Promise<Record<string, string>> => {
  settleImages(context, job, result);
  const response: Record<string, string> = {};
  for (const [position, exporter] of job.exporters.entries()) {
    switch (exporterKind(exporter.type)) {
      case "image":
        Object.assign(response, await exportImage(context, exporter, result));
        break;
      case "docker":
      case "oci":
        Object.assign(response, await exportArchive(context, exporter, result, position));
        break;
      case "local":
      case "tar":
        Object.assign(response, await exportFiles(context, exporter, result, position));
    }
  }
  return response;
};

const isKept = (exporter: ExporterOptions): boolean =>
  exporterKind(exporter.type) === "image" && imageOutputOf(exporter).isStored;

/** What becomes of the result's images when the build has ended. */
const settleImages = (context: SolveContext, job: Job, result: BuildResult): void => {
  const { nameless } = stateOf(context.backend);
  const isWanted = job.exporters.some(isKept);
  for (const one of resultsOf(result)) {
    if (isWanted) nameless.keep(one.imageId);
    else dropNameless(context, one);
  }
};

/** An image that nobody asked for is not left behind, unless it was there before. */
export const dropNameless = (
  { backend }: SolveContext,
  { imageId, wasHere }: Pick<BuildResult, "imageId" | "wasHere">,
): void => {
  if (wasHere !== true) stateOf(backend).nameless.add(imageId);
};
