/** GET, HEAD, PUT and DELETE of manifests (end-3, end-7, end-9). */
import { acceptsOf } from "#api/distribution/accept.ts";
import type { Call } from "#api/distribution/call.ts";
import { isUnchanged } from "#api/distribution/conditions.ts";
import { PreparedAnswer } from "#api/http/prepared.ts";
import type { Manifest, Registry } from "#registry/registry.ts";
import { distributionError } from "#spec/distribution/errors.ts";
import { MANIFEST_LIMIT_BYTES } from "#spec/distribution/manifest-document.ts";
import { parseManifestReference } from "#spec/distribution/name.ts";
import { parseManifest } from "#spec/image/manifest.ts";
import { isIndexType } from "#spec/image/media-type.ts";

const BODY_TIMEOUT_MS = 60_000;

const fieldsOf = ({ digest, mediaType }: Manifest): string =>
  `Content-Type: ${mediaType}\r\nDocker-Content-Digest: ${digest}\r\nEtag: "${digest}"\r\n`;

/** Answers beside the manifests that the registry remembers; undefined for bytes that are not UTF-8. */
const answers = new WeakMap<Manifest, PreparedAnswer | undefined>();

const answerOf = (manifest: Manifest): PreparedAnswer | undefined => {
  if (answers.has(manifest)) return answers.get(manifest);
  const bytes = Buffer.from(manifest.content);
  const text = bytes.toString("utf8");
  const answer = Buffer.from(text).equals(bytes)
    ? new PreparedAnswer(200, fieldsOf(manifest), text)
    : undefined;
  answers.set(manifest, answer);
  return answer;
};

/** For clients older than manifest lists: the image that they would have chosen themselves. */
const platformManifest = (
  registry: Registry,
  repository: string,
  manifest: Manifest,
): Manifest | Promise<Manifest> | undefined => {
  const index = parseManifest(Buffer.from(manifest.content).toString("utf8"), manifest.mediaType);
  if (index.kind !== "index") return undefined;
  const chosen = index.manifests.find(
    ({ platform }) => platform?.os === "linux" && platform.architecture === "amd64",
  );
  return chosen === undefined ? undefined : registry.manifest(repository, chosen.digest);
};

const negotiate = async (call: Call, found: Manifest): Promise<Manifest> => {
  const accepts = acceptsOf(call.field("accept"));
  if (accepts(found.mediaType)) return found;
  const byTag = !call.argument.includes(":");
  if (byTag && isIndexType(found.mediaType)) {
    const manifest = await platformManifest(call.registry, call.repository, found);
    if (manifest !== undefined && accepts(manifest.mediaType)) return manifest;
  }
  throw distributionError(
    "MANIFEST_UNKNOWN",
    `"${call.repository}" has "${call.argument}" as ${found.mediaType}, which the request's Accept does not allow`,
    { detail: { mediaType: found.mediaType } },
  );
};

const send = (call: Call, manifest: Manifest): void => {
  const { exchange } = call;
  if (isUnchanged(call, manifest.digest)) {
    exchange.answer(304, fieldsOf(manifest));
    return;
  }
  const answer = answerOf(manifest);
  if (answer === undefined) exchange.answer(200, fieldsOf(manifest), manifest.content);
  else exchange.prepared(answer);
  if (exchange.head.method !== "GET") return;
  const { digest, mediaType, content } = manifest;
  const tags = call.argument.includes(":") ? {} : { tags: [call.argument] };
  const sizeBytes = content.length;
  call.happened({ action: "pull", kind: "manifest", digest, mediaType, sizeBytes, ...tags });
};

const getLater = async (call: Call, pending: Manifest | Promise<Manifest>): Promise<void> =>
  send(call, await negotiate(call, await pending));

/** Synchronous for what is remembered and fits. */
export const getManifest = (call: Call): void | Promise<void> => {
  const found = call.registry.manifest(call.repository, call.argument);
  if (found instanceof Promise || !acceptsOf(call.field("accept"))(found.mediaType)) {
    return getLater(call, found);
  }
  send(call, found);
  return undefined;
};

export const putManifest = async (call: Call): Promise<void> => {
  const { exchange, registry, repository, argument } = call;
  const content = await exchange
    .readBody({ limitBytes: MANIFEST_LIMIT_BYTES, timeoutMs: BODY_TIMEOUT_MS })
    .catch((error: unknown) => {
      throw asSizeError(error);
    });
  const stored = registry.putManifest(repository, {
    reference: argument,
    mediaType: call.field("content-type") ?? "",
    content,
    tags: call.query.getAll("tag"),
  });
  const { digest, mediaType, subject, tags } = stored;
  exchange.answer(
    201,
    `Location: /v2/${repository}/manifests/${digest}\r\nDocker-Content-Digest: ${digest}\r\n` +
      (subject === undefined ? "" : `OCI-Subject: ${subject}\r\n`) +
      call.query
        .getAll("tag")
        .map((tag) => `OCI-Tag: ${tag}\r\n`)
        .join(""),
  );
  const sizeBytes = content.length;
  call.happened({ action: "push", kind: "manifest", digest, mediaType, sizeBytes, tags });
};

const asSizeError = (error: unknown): unknown => {
  const isTooLarge =
    error instanceof Error &&
    "details" in error &&
    (error.details as { status?: number }).status === 413;
  return isTooLarge
    ? distributionError(
        "SIZE_INVALID",
        `the manifest is larger than the ${MANIFEST_LIMIT_BYTES} bytes that are taken`,
        { status: 413, cause: error },
      )
    : error;
};

export const deleteManifest = (call: Call): void => {
  const tags = call.registry.deleteManifest(call.repository, call.argument);
  call.exchange.answer(202, "");
  const reference = parseManifestReference(call.argument);
  const what =
    reference.kind === "tag"
      ? { kind: "tag" as const }
      : { kind: "manifest" as const, digest: reference.digest };
  call.happened({ action: "delete", ...what, tags });
};
