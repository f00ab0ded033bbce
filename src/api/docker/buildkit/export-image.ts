/** The exporter "image": among this machine's images, at registries, or both. */
import { type ImageOutput, imageOutputOf } from "#api/docker/buildkit/export-options.ts";
import type { ExporterOptions } from "#api/docker/buildkit/jobs.ts";
import { needsIndex, pack } from "#api/docker/buildkit/pack.ts";
import { credentialsFor, pushBundle } from "#api/docker/buildkit/push-bundle.ts";
import type { SolveContext } from "#api/docker/buildkit/solve.ts";
import { ShownVertex } from "#api/docker/buildkit/vertices.ts";
import type { BuildResult } from "#build/build.ts";
import type { TransferEvent } from "#image/transfer.ts";
import type { Descriptor } from "#spec/image/descriptor.ts";
import { familiarName, parseReference } from "#spec/image/reference.ts";

type Response = Record<string, string>;

/** Layers are compressed while they are sent. Gives the manifest's digest, where the push told it. */
const pushPlainly = async (
  context: SolveContext,
  vertex: ShownVertex,
  name: string,
): Promise<string | undefined> => {
  const { backend, signal } = context;
  const credentials = await credentialsFor(context, name);
  let told: Promise<void> = Promise.resolve();
  let waiting = 0;
  let digest: string | undefined;
  await backend.images.push(name, {
    credentials,
    isAllTags: false,
    signal,
    onEvent: (event: TransferEvent) => {
      if (event.aux !== undefined) digest = (event.aux as { Digest?: string }).Digest;
      if (event.aux !== undefined || (event.current !== undefined && waiting > 0)) return;
      waiting += 1;
      told = told.then(() => vertex.transfer(event)).finally(() => (waiting -= 1));
    },
  });
  await told;
  return digest;
};

const exportPlainly = async (
  context: SolveContext,
  vertex: ShownVertex,
  { names, isPushed }: ImageOutput,
  { imageId }: BuildResult,
): Promise<Response> => {
  const { images } = context.backend;
  let digest: string = imageId;
  await vertex.status("exporting layers", 0, 0, true);
  await vertex.status(`writing image ${imageId}`, 0, 0, true);
  for (const name of names) {
    images.tag(imageId, name, { isAlone: true });
    await vertex.status(`naming to ${name}`, 0, 0, true);
  }
  if (isPushed) {
    for (const name of names) digest = (await pushPlainly(context, vertex, name)) ?? digest;
  }
  return { "containerimage.digest": digest, "containerimage.config.digest": imageId };
};

export const descriptorFields = (root: Descriptor): Response => ({
  "containerimage.digest": root.digest,
  "containerimage.descriptor": Buffer.from(JSON.stringify(root)).toString("base64"),
});

const exportBundle = async (
  context: SolveContext,
  vertex: ShownVertex,
  output: ImageOutput,
  result: BuildResult,
): Promise<Response> => {
  const { names, isPushed, isStored } = output;
  using packed = await pack(context, result, output);
  const { bundle, isIndex } = packed;
  const { root } = bundle;
  await vertex.status("exporting layers", 0, 0, true);
  await vertex.status(
    `exporting ${isIndex ? "manifest list" : "manifest"} ${root.digest}`,
    0,
    0,
    true,
  );
  const canonical = names.map((name) => `${familiarName(parseReference(name))}@${root.digest}`);
  const pushed = output.isByDigest ? canonical : names;
  if (isPushed) for (const name of pushed) await pushBundle(context, vertex, name, bundle);
  if (isStored) {
    const bundles = await context.backend.images.bundles();
    const stored = output.isByDigest ? [] : names;
    bundles.store(bundle, [...stored, ...(isPushed || output.isCanonical ? canonical : [])]);
    for (const name of stored) await vertex.status(`naming to ${name}`, 0, 0, true);
  }
  return {
    ...descriptorFields(root),
    ...(isIndex ? {} : { "containerimage.config.digest": result.imageId }),
  };
};

export const exportImage = async (
  context: SolveContext,
  exporter: ExporterOptions,
  result: BuildResult,
): Promise<Response> => {
  const { job } = context;
  const output = imageOutputOf(exporter);
  const { names } = output;
  const vertex = new ShownVertex(job.log, job.ref, "exporting to image");
  const response = await vertex.around(() =>
    output.isPlain && output.isStored && !needsIndex(context, result, output)
      ? exportPlainly(context, vertex, output, result)
      : exportBundle(context, vertex, output, result),
  );
  return { ...response, ...(names.length === 0 ? {} : { "image.name": names.join(",") }) };
};
