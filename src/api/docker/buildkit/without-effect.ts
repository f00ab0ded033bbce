/** What a client may ask for and naru does not do, where a build is right all the same: told, not refused. */
import type { Attributes } from "#api/docker/buildkit/attributes.ts";
import type { ExporterOptions, Job } from "#api/docker/buildkit/jobs.ts";
import { ShownVertex } from "#api/docker/buildkit/vertices.ts";

/** How the image is written: naru decides that when it is pushed or saved. */
const FORMAT_KEYS = [
  "compression",
  "compression-level",
  "force-compression",
  "oci-mediatypes",
  "unpack",
  "store",
];

/** One line each, for the build's display. */
export const withoutEffect = (
  attributes: Attributes,
  exporters: readonly ExporterOptions[],
): string[] => {
  const formats = exporters.flatMap((exporter) =>
    FORMAT_KEYS.filter((key) => exporter.attributes[key] !== undefined),
  );
  return [...new Set(formats)].map((key) => `the output's setting "${key}" has no effect`);
};

/** Shows each line as a step that is done at once. */
export const tellWithoutEffect = async (
  { log, ref }: Job,
  attributes: Attributes,
  exporters: readonly ExporterOptions[],
): Promise<void> => {
  for (const text of withoutEffect(attributes, exporters)) {
    // oxlint-disable-next-line no-await-in-loop -- lines in order
    await new ShownVertex(log, ref, `[Warning] ${text}`).around(() => Promise.resolve());
  }
};
