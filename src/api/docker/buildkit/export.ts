/** What becomes of a build's result: an image with names, an archive or files for the client. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { ExporterOptions, Job } from "#api/docker/buildkit/jobs.ts";
import { sendFiles } from "#api/docker/buildkit/file-send.ts";
import { credentialsOf } from "#api/docker/buildkit/session-services.ts";
import type { SolveContext } from "#api/docker/buildkit/solve.ts";
import { ShownVertex } from "#api/docker/buildkit/vertices.ts";
import type { BuildResult } from "#build/build.ts";
import type { TransferEvent } from "#image/transfer.ts";
import { NaruError } from "#lib/errors.ts";
import { ChunkSchema } from "#spec/buildkit/session.gen.ts";
import { parseReference } from "#spec/image/reference.ts";

export const FILE_SEND = "/moby.filesync.v1.FileSend/DiffCopy";
const CHUNK_BYTES = 1024 * 1024;

/** Attributes that an exporter understands; "" for those whose value changes nothing here. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  // "load" is docker compose's word for what happens anyway: the image is the engine's own.
  image: [
    "name",
    "push",
    "unpack",
    "load",
    "store",
    "compression",
    "force-compression",
    "oci-mediatypes",
  ],
  docker: ["name", "tar", "compression", "oci-mediatypes", "dest"],
  oci: ["name", "tar", "compression", "oci-mediatypes", "dest"],
  tar: ["dest", "platform-split"],
  local: ["dest", "platform-split"],
};

const kindOf = (type: string): string => (type === "moby" ? "image" : type);

/** Throws before the build begins. */
export const checkExporter = ({ type, attributes }: ExporterOptions): void => {
  const known = KNOWN[kindOf(type)];
  if (known === undefined) {
    const remedy = `use ${Object.keys(KNOWN).join(", ")}`;
    throw new NaruError("not_implemented", `exporter "${type}" is not supported: ${remedy}`);
  }
  for (const [name, value] of Object.entries(attributes)) {
    const isRefused =
      !known.includes(name) ||
      (name === "tar" && value === "false") ||
      ((name === "store" || name === "load") && value === "false") ||
      (name === "compression" && !["", "gzip", "uncompressed"].includes(value));
    if (!isRefused) continue;
    const what = `option "${name}=${value}" of exporter "${type}"`;
    throw new NaruError("not_implemented", `${what} is not supported: leave it out`);
  }
  namesOf(attributes).forEach((name) => parseReference(name));
};

const namesOf = (attributes: ExporterOptions["attributes"]): string[] =>
  (attributes["name"] ?? "").split(",").filter((name) => name !== "");

const push = async (context: SolveContext, vertex: ShownVertex, name: string): Promise<void> => {
  const { backend, session, signal } = context;
  const { domain } = parseReference(name);
  const credentials = (await credentialsOf(session, [name], signal)).get(domain) ?? {};
  let told: Promise<void> = Promise.resolve();
  let waiting = 0;
  await backend.images.push(name, {
    credentials,
    isAllTags: false,
    signal,
    onEvent: (event: TransferEvent) => {
      if (event.aux !== undefined || (event.current !== undefined && waiting > 0)) return;
      waiting += 1;
      told = told.then(() => vertex.transfer(event)).finally(() => (waiting -= 1));
    },
  });
  await told;
};

const exportImage = async (
  context: SolveContext,
  { attributes }: ExporterOptions,
  { imageId }: BuildResult,
): Promise<Record<string, string>> => {
  const { backend, job } = context;
  const names = namesOf(attributes);
  const vertex = new ShownVertex(job.log, job.ref, "exporting to image");
  await vertex.around(async () => {
    await vertex.status("exporting layers", 0, 0, true);
    await vertex.status(`writing image ${imageId}`, 0, 0, true);
    for (const name of names) {
      backend.images.tag(imageId, name);
      await vertex.status(`naming to ${name}`, 0, 0, true);
    }
    if (attributes["push"] !== "true") return;
    for (const name of names) await push(context, vertex, name);
  });
  return {
    "containerimage.digest": imageId,
    "containerimage.config.digest": imageId,
    ...(names.length === 0 ? {} : { "image.name": names.join(",") }),
  };
};

/** Names of the moment: what they stood for before stands for them again afterwards. */
const borrowNames = (
  { backend }: SolveContext,
  imageId: string,
  names: readonly string[],
): AsyncDisposable => {
  const { images } = backend;
  const undo = new AsyncDisposableStack();
  for (const name of names) {
    const before = images.find(name)?.id;
    if (before === imageId) continue;
    undo.defer(async () => {
      if (before !== undefined) images.tag(before, name);
      else await images.remove(name, { isForced: false, isParentKept: true });
    });
    images.tag(imageId, name);
  }
  return undo;
};

const sendStream = async (
  { session, signal }: SolveContext,
  position: number,
  source: AsyncIterable<Uint8Array>,
): Promise<void> => {
  if (session === undefined) {
    throw new NaruError("invalid_argument", "an archive needs a session to go to");
  }
  const metadata = { "buildkit-attachable-exporter-id": String(position) };
  const stream = session.client.stream(FILE_SEND, metadata, signal);
  for await (const bytes of source) {
    for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
      const data = bytes.subarray(start, start + CHUNK_BYTES);
      await stream.send(toBinary(ChunkSchema, create(ChunkSchema, { data })));
    }
  }
  stream.end();
  // The client has it all when it ends its side.
  for await (const answer of stream.messages) void answer;
};

const exportArchive = async (
  context: SolveContext,
  { type, attributes }: ExporterOptions,
  { imageId }: BuildResult,
  position: number,
): Promise<Record<string, string>> => {
  const { backend, job, signal } = context;
  const names = namesOf(attributes);
  const what =
    type === "oci" ? "exporting to oci image format" : "exporting to docker image format";
  const vertex = new ShownVertex(job.log, job.ref, what);
  await vertex.around(async () => {
    await using borrowed = borrowNames(context, imageId, names);
    void borrowed;
    using archive = await backend.images.save(names.length > 0 ? names : [imageId], signal);
    await vertex.status("sending tarball", 0, archive.sizeBytes, false);
    await sendStream(context, position, archive.stream(signal));
    await vertex.status("sending tarball", archive.sizeBytes, archive.sizeBytes, true);
  });
  return { "containerimage.digest": imageId, "containerimage.config.digest": imageId };
};

const exportFiles = async (
  context: SolveContext,
  { type }: ExporterOptions,
  { chainId }: BuildResult,
  position: number,
): Promise<Record<string, string>> => {
  const { backend, job, session, signal } = context;
  const builds = await backend.builds();
  const vertex = new ShownVertex(
    job.log,
    job.ref,
    `exporting to client ${type === "tar" ? "tarball" : "directory"}`,
  );
  await vertex.around(async () => {
    using files = builds.resultFiles(chainId);
    if (type === "tar") return await sendStream(context, position, files.tar());
    if (session === undefined) throw new NaruError("invalid_argument", "files need a session");
    const metadata = { "buildkit-attachable-exporter-id": String(position) };
    const bytes = await sendFiles(session.client.stream(FILE_SEND, metadata, signal), files);
    await vertex.status("copying files", bytes, bytes, true);
  });
  return {};
};

/** All exporters one after the other; what they tell the client, merged. */
export const exportResult = async (
  context: SolveContext,
  job: Job,
  result: BuildResult,
): Promise<Record<string, string>> => {
  const response: Record<string, string> = {};
  for (const [position, exporter] of job.exporters.entries()) {
    switch (kindOf(exporter.type)) {
      case "image":
        Object.assign(response, await exportImage(context, exporter, result));
        break;
      case "docker":
      case "oci":
        Object.assign(response, await exportArchive(context, exporter, result, position));
        break;
      default:
        Object.assign(response, await exportFiles(context, exporter, result, position));
    }
  }
  if (!job.exporters.some(({ type }) => kindOf(type) === "image")) {
    await dropNameless(context, result.imageId);
  }
  return response;
};

/** An image that nobody asked for is not left behind; its layers stay in the cache. */
export const dropNameless = async ({ backend }: SolveContext, imageId: string): Promise<void> => {
  const record = backend.images.find(imageId);
  if (record === undefined || record.repoTags.length > 0 || record.repoDigests.length > 0) return;
  const children = backend.images.list({ isAll: true, filters: new Map() });
  if (children.some(({ ParentId }) => ParentId === imageId)) return;
  await backend.images.remove(imageId, { isForced: false, isParentKept: true });
};
