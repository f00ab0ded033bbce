/** Images from a client's own content store (an OCI layout of its machine), read through its session. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { ClientSession } from "#api/docker/buildkit/sessions.ts";
import type { BuildResult, Builds } from "#build/build.ts";
import { NaruError } from "#lib/errors.ts";
import { ReadContentRequestSchema, ReadContentResponseSchema } from "#spec/buildkit/content.gen.ts";
import { parseImageConfig } from "#spec/image/config.ts";
import { type Digest, digestOf } from "#spec/image/digest.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import { HOST_PLATFORM, type Platform } from "#spec/image/platform.ts";

const READ = "/containerd.services.content.v1.Content/Read";
const DOCUMENT_MAX_BYTES = 4 * 1024 * 1024;

async function* readBlob(
  session: ClientSession,
  store: string,
  digest: Digest,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const metadata = { "buildkit-attachable-store-id": `oci:${store}` };
  const stream = session.client.stream(READ, metadata, signal);
  const request = create(ReadContentRequestSchema, { digest });
  await stream.send(toBinary(ReadContentRequestSchema, request));
  stream.end();
  for await (const message of stream.messages) {
    yield fromBinary(ReadContentResponseSchema, message).data;
  }
}

const readDocument = async (
  session: ClientSession,
  store: string,
  digest: Digest,
  signal: AbortSignal,
): Promise<string> => {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of readBlob(session, store, digest, signal)) {
    sizeBytes += part.length;
    if (sizeBytes > DOCUMENT_MAX_BYTES) {
      throw new NaruError("resource_exhausted", `"${digest}" is too large for a document`);
    }
    parts.push(part);
  }
  const bytes = Buffer.concat(parts);
  if (digestOf(bytes) === digest) return bytes.toString("utf8");
  throw new NaruError("data_loss", `what the client sent as "${digest}" has another digest`);
};

const isFor = (platform: Platform | undefined, wanted: Platform): boolean =>
  platform?.os === wanted.os && platform.architecture === wanted.architecture;

/** The image of the client's layout, under no name: layers that are here are not sent. Throws what the client says. */
export const importLayout = async (
  builds: Builds,
  session: ClientSession | undefined,
  store: string,
  digest: Digest,
  platform: Platform | undefined,
  signal: AbortSignal,
): Promise<BuildResult> => {
  if (session === undefined) {
    throw new NaruError("invalid_argument", `the layout "${store}" needs a session: there is none`);
  }
  const document = (of: Digest): Promise<string> => readDocument(session, store, of, signal);
  let manifest = parseManifest(await document(digest));
  if (manifest.kind === "index") {
    const wanted = platform ?? HOST_PLATFORM;
    const found = manifest.manifests.find((one) => isFor(one.platform, wanted));
    const [only] = manifest.manifests.length === 1 ? manifest.manifests : [];
    const chosen = found ?? only;
    if (chosen === undefined) {
      const what = `${wanted.os}/${wanted.architecture}`;
      throw new NaruError("not_found", `the layout "${store}" has no image for ${what}`);
    }
    manifest = parseManifest(await document(chosen.digest));
  }
  if (manifest.kind !== "manifest") {
    throw new NaruError("invalid_argument", `"${digest}" of the layout "${store}" is no image`);
  }
  const configText = await document(manifest.config.digest);
  const { diff_ids: diffIds } = parseImageConfig(configText).rootfs;
  const layers = manifest.layers.map((layer, index) => {
    const diffId = diffIds[index];
    if (diffId === undefined) {
      throw new NaruError("invalid_argument", `the config of "${digest}" has too few layers`);
    }
    return { diffId, read: () => readBlob(session, store, layer.digest, signal) };
  });
  return await builds.importLayers(configText, layers, signal);
};
