/** Uploads: POST, PATCH, PUT, GET and DELETE (end-4, 5, 6, 11, 13, 14). */
import type { Call } from "#api/distribution/call.ts";
import { paced } from "#api/distribution/patience.ts";
import { toNaruError } from "#lib/errors.ts";
import type { Blob, UploadChunk, UploadStatus, Uploads } from "#registry/registry.ts";
import { parseChunkRange } from "#spec/distribution/byte-range.ts";
import { distributionError } from "#spec/distribution/errors.ts";

const uploadsOf = (call: Call): Uploads => {
  const { uploads } = call.registry;
  if (uploads === undefined) {
    throw distributionError("UNSUPPORTED", "this registry is read-only: push elsewhere");
  }
  return uploads;
};

/** Inclusive, so that nothing and one byte look the same: clients know (the spec asks for it so). */
const statusFields = ({ id, repository, offsetBytes }: UploadStatus): string =>
  `Location: /v2/${repository}/blobs/uploads/${id}\r\nDocker-Upload-UUID: ${id}\r\n` +
  `Range: 0-${Math.max(0, offsetBytes - 1)}\r\n`;

const answerBlob = (call: Call, blob: Blob): void => {
  const { repository, exchange } = call;
  exchange.answer(
    201,
    `Location: /v2/${repository}/blobs/${blob.digest}\r\nDocker-Content-Digest: ${blob.digest}\r\n`,
  );
};

const pushed = (call: Call, { digest, sizeBytes }: Blob): void =>
  call.happened({ action: "push", kind: "blob", digest, sizeBytes });

/** Throws SIZE_INVALID for a range that is malformed or not as long as the body. */
const chunkOf = (call: Call): UploadChunk => {
  const { exchange, backend } = call;
  const range = parseChunkRange(call.field("content-range"));
  const lengthBytes = exchange.head.contentLength;
  if (range === null) {
    throw distributionError(
      "BLOB_UPLOAD_INVALID",
      "Content-Range must be FIRST-LAST, both inclusive",
      { status: 416 },
    );
  }
  const announced = range === undefined ? undefined : range.last - range.first + 1;
  if (announced !== undefined && lengthBytes !== undefined && announced !== lengthBytes) {
    throw distributionError(
      "SIZE_INVALID",
      `Content-Range announces ${announced} bytes, Content-Length ${lengthBytes}`,
    );
  }
  return {
    source: paced(exchange.body(), backend.patience),
    firstByte: range?.first,
    lengthBytes: lengthBytes ?? announced,
  };
};

/** A chunk out of order is told where the upload goes on. */
const withStatus = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work;
  } catch (thrown) {
    const error = toNaruError(thrown);
    const upload = error.details["upload"] as UploadStatus | undefined;
    if (upload === undefined) throw error;
    throw distributionError("BLOB_UPLOAD_INVALID", error.message, {
      status: 416,
      cause: error,
      details: { fields: statusFields(upload) },
    });
  }
};

const mount = (call: Call, digest: string): boolean => {
  const { registry, repository } = call;
  const from = call.parameter("from");
  const blob = registry.mount(repository, {
    digest,
    from,
    mayRead: (name) => call.mayDo({ action: "pull", repository: name }),
  });
  if (blob === undefined) return false;
  answerBlob(call, blob);
  const source = from === undefined ? {} : { fromRepository: from };
  call.happened({ action: "mount", kind: "blob", digest: blob.digest, ...source });
  return true;
};

export const startUpload = async (call: Call): Promise<void> => {
  const uploads = uploadsOf(call);
  const mounted = call.parameter("mount");
  if (mounted !== undefined && mount(call, mounted)) return;
  const digest = call.parameter("digest");
  if (digest !== undefined && mounted === undefined) {
    const blob = await uploads.whole(call.repository, digest, chunkOf(call));
    answerBlob(call, blob);
    pushed(call, blob);
    return;
  }
  const status = uploads.start(call.repository, call.parameter("digest-algorithm"));
  call.exchange.answer(202, statusFields(status));
};

export const uploadStatus = (call: Call): void => {
  const status = uploadsOf(call).status(call.repository, call.argument);
  call.exchange.answer(204, statusFields(status));
};

export const appendUpload = async (call: Call): Promise<void> => {
  const uploads = uploadsOf(call);
  const status = await withStatus(uploads.append(call.repository, call.argument, chunkOf(call)));
  call.exchange.answer(202, statusFields(status));
};

export const finishUpload = async (call: Call): Promise<void> => {
  const { exchange, repository, argument } = call;
  const digest = call.parameter("digest");
  if (digest === undefined) {
    throw distributionError("DIGEST_INVALID", "the digest parameter is missing");
  }
  const chunk = exchange.hasBody ? chunkOf(call) : undefined;
  const blob = await withStatus(uploadsOf(call).finish(repository, argument, digest, chunk));
  answerBlob(call, blob);
  pushed(call, blob);
};

export const cancelUpload = async (call: Call): Promise<void> => {
  await uploadsOf(call).cancel(call.repository, call.argument);
  call.exchange.answer(204, "");
};
