/** The content service, for reading: what records of the build history point to. Everything else is refused. */
import { open } from "node:fs/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { DockerBackend } from "#api/docker/backend.ts";
import { answer } from "#api/docker/buildkit/answer.ts";
import { type GrpcHandler, readOne } from "#api/grpc/server.ts";
import type { HistoryBlob } from "#build/history.ts";
import { NaruError } from "#lib/errors.ts";
import {
  BlobInfoResponseSchema,
  InfoRequestSchema,
  ReadContentRequestSchema,
  ReadContentResponseSchema,
} from "#spec/buildkit/content.gen.ts";

const CHUNK_BYTES = 256 * 1024;

const blobOf = async (backend: DockerBackend, digest: string): Promise<HistoryBlob> => {
  const blob = (await backend.builds()).history.blob(digest);
  if (blob !== undefined) return blob;
  throw new NaruError("not_found", `content "${digest}" is not of the build history: not found`);
};

const info =
  (backend: DockerBackend): GrpcHandler =>
  async (call) => {
    const { digest } = fromBinary(InfoRequestSchema, await readOne(call));
    const { sizeBytes, modifiedMs } = await blobOf(backend, digest);
    const at = timestampFromMs(Math.trunc(modifiedMs));
    await answer(call, BlobInfoResponseSchema, {
      info: { digest, size: BigInt(sizeBytes), createdAt: at, updatedAt: at },
    });
  };

const read =
  (backend: DockerBackend): GrpcHandler =>
  async (call) => {
    const { digest, offset, size } = fromBinary(ReadContentRequestSchema, await readOne(call));
    const { path, sizeBytes } = await blobOf(backend, digest);
    const start = Number(offset);
    if (start < 0 || start > sizeBytes) {
      const reason = `offset ${start} is outside of "${digest}", which has ${sizeBytes} bytes`;
      throw new NaruError("out_of_range", reason);
    }
    const end = size > 0n ? Math.min(sizeBytes, start + Number(size)) : sizeBytes;
    await using file = await open(path, "r");
    for (let at = start; at < end;) {
      const data = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, end - at));
      const { bytesRead } = await file.read(data, 0, data.length, at);
      if (bytesRead === 0) throw new NaruError("data_loss", `"${digest}" is shorter than it was`);
      const piece = data.subarray(0, bytesRead);
      await answer(call, ReadContentResponseSchema, { offset: BigInt(at), data: piece });
      at += bytesRead;
    }
  };

const PREFIX = "/containerd.services.content.v1.Content/";

export const contentHandlers = (backend: DockerBackend): ReadonlyMap<string, GrpcHandler> =>
  new Map([
    [`${PREFIX}Info`, info(backend)],
    [`${PREFIX}Read`, read(backend)],
  ]);
