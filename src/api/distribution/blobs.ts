/** GET, HEAD and DELETE of blobs, ranges included (end-2, end-10). */
import { closeSync, openSync } from "node:fs";
import type { Call } from "#api/distribution/call.ts";
import { isUnchanged } from "#api/distribution/conditions.ts";
import { Pace } from "#api/distribution/patience.ts";
import { sendFile } from "#api/distribution/file-sender.ts";
import type { Blob } from "#registry/registry.ts";
import type { RemoteBytes } from "#registry/storage/storage.ts";
import { parseRange } from "#spec/distribution/byte-range.ts";
import { distributionError } from "#spec/distribution/errors.ts";
import { parseDigestParameter } from "#spec/distribution/name.ts";

const fieldsOf = ({ digest }: Blob): string =>
  "Content-Type: application/octet-stream\r\nAccept-Ranges: bytes\r\n" +
  `Docker-Content-Digest: ${digest}\r\nEtag: "${digest}"\r\nCache-Control: max-age=31536000\r\n`;

/** A range of a version that is not this one is no range (RFC 9110 §13.1.5). */
const rangeField = (call: Call, { digest }: Blob): string | undefined => {
  const condition = call.field("if-range");
  return condition === undefined || condition === `"${digest}"` ? call.field("range") : undefined;
};

const unsatisfiable = (blob: Blob) =>
  distributionError("SIZE_INVALID", `the blob has ${blob.sizeBytes} bytes: no such range`, {
    status: 416,
    details: { fields: `Content-Range: bytes */${blob.sizeBytes}\r\n` },
  });

/** What is elsewhere: the client is sent there, or it comes through here at the client's pace. */
const sendRemote = async (
  call: Call,
  blob: Blob,
  remote: RemoteBytes,
  range: { readonly first: number; readonly last: number } | undefined,
): Promise<void> => {
  const { exchange, backend } = call;
  const first = range?.first ?? 0;
  const sizeBytes = range === undefined ? blob.sizeBytes : range.last - first + 1;
  if (remote.link !== undefined) {
    exchange.answer(307, `${fieldsOf(blob)}Location: ${remote.link}\r\n`);
  } else {
    const pace = new Pace(backend.patience);
    const parts = remote.read(first, sizeBytes)[Symbol.asyncIterator]();
    // The first bytes before the head: a storage that is away is an answer of its own.
    let part = await parts.next();
    const status = range === undefined ? 200 : 206;
    const stream = exchange.stream(status, fieldsIn(blob, range), sizeBytes);
    try {
      for (; part.done !== true; part = await parts.next()) {
        await pace.wait(stream.write(part.value));
        pace.moved(part.value.length);
      }
      stream.end();
    } finally {
      await parts.return?.();
    }
  }
  call.happened({ action: "pull", kind: "blob", digest: blob.digest, sizeBytes });
};

const fieldsIn = (
  blob: Blob,
  range: { readonly first: number; readonly last: number } | undefined,
): string =>
  range === undefined
    ? fieldsOf(blob)
    : `${fieldsOf(blob)}Content-Range: bytes ${range.first}-${range.last}/${blob.sizeBytes}\r\n`;

const send = async (call: Call, blob: Blob): Promise<void> => {
  const { exchange, backend } = call;
  const { sizeBytes } = blob;
  if (isUnchanged(call, blob.digest)) {
    exchange.answer(304, fieldsOf(blob));
    return;
  }
  const range = parseRange(rangeField(call, blob), sizeBytes);
  if (range === "unsatisfiable") throw unsatisfiable(blob);
  const first = range?.first ?? 0;
  const length = range === undefined ? sizeBytes : range.last - first + 1;
  const fields = fieldsIn(blob, range);
  const status = range === undefined ? 200 : 206;
  if (blob.content !== undefined) {
    exchange.answer(status, fields, blob.content.subarray(first, first + length));
    return;
  }
  if (exchange.head.method === "HEAD" || length === 0) {
    exchange.stream(status, fields, length).end();
    return;
  }
  if (blob.remote !== undefined) return await sendRemote(call, blob, blob.remote, range);
  const fd = openSync(blob.path, "r");
  try {
    const stream = exchange.stream(status, fields, length);
    await sendFile(fd, { first, sizeBytes: length, growth: blob.growth }, stream, backend);
  } finally {
    closeSync(fd);
  }
  call.happened({ action: "pull", kind: "blob", digest: blob.digest, sizeBytes: length });
};

export const getBlob = (call: Call): Promise<void> => {
  const blob = call.registry.blob(call.repository, call.argument);
  return blob instanceof Promise ? blob.then((found) => send(call, found)) : send(call, blob);
};

export const deleteBlob = (call: Call): void => {
  const digest = parseDigestParameter(call.argument);
  call.registry.deleteBlob(call.repository, digest);
  call.exchange.answer(202, "");
  call.happened({ action: "delete", kind: "blob", digest });
};
