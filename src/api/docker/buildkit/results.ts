/** Files of a build's results and of its containers, for clients that look into them before they give them back. */
import { fromBinary } from "@bufbuild/protobuf";
import type { DockerBackend } from "#api/docker/backend.ts";
import { answer } from "#api/docker/buildkit/answer.ts";
import type { GatewayScope, ScopeOf } from "#api/docker/buildkit/gateway-scope.ts";
import { type GrpcHandler, readOne } from "#api/grpc/server.ts";
import { MESSAGE_MAX_BYTES } from "#api/grpc/frame.ts";
import type { ResultFiles, ResultNode } from "#build/result-files.ts";
import { globExpression } from "#build/op/glob.ts";
import { NaruError } from "#lib/errors.ts";
import {
  ReadDirRequestSchema,
  ReadDirResponseSchema,
  ReadFileRequestSchema,
  ReadFileResponseSchema,
  StatFileRequestSchema,
  StatFileResponseSchema,
} from "#spec/buildkit/gateway.gen.ts";

const READ_MAX_BYTES = MESSAGE_MAX_BYTES - 1024;

/** Whose files are asked for: a result's, a container's. */
type FilesOf = (
  scope: GatewayScope,
  request: { readonly ref: string; readonly mountIndex: number },
) => Promise<ResultFiles>;

const resultFilesOf =
  (backend: DockerBackend): FilesOf =>
  async ({ job }, { ref }) => {
    const builds = await backend.builds();
    return builds.resultFiles(job.treeOf(ref));
  };

/** `ref` is a container's id there. */
const containerFilesOf: FilesOf = ({ containers }, { ref, mountIndex }) =>
  Promise.resolve(containers.get(ref).files(mountIndex));

const statOf = ({ path, goMode, uid, gid, sizeBytes, modifiedNs, link }: ResultNode) => ({
  path,
  mode: goMode,
  uid,
  gid,
  size: BigInt(sizeBytes),
  modTime: modifiedNs,
  linkname: link,
});

const readFile =
  (filesOf: FilesOf, scopeOf: ScopeOf): GrpcHandler =>
  async (call) => {
    const request = fromBinary(ReadFileRequestSchema, await readOne(call));
    const { filePath, range } = request;
    using files = await filesOf(scopeOf(call), request);
    const start = Number(range?.offset ?? 0n);
    const length = Number(range?.length ?? 0n);
    const end = length > 0 ? start + length : Number.POSITIVE_INFINITY;
    const parts: Uint8Array[] = [];
    let at = 0;
    let sizeBytes = 0;
    for (const chunk of files.read(filePath)) {
      const part = chunk.subarray(Math.max(0, start - at), Math.max(0, end - at));
      at += chunk.length;
      sizeBytes += part.length;
      if (sizeBytes > READ_MAX_BYTES) {
        const remedy = "read it in ranges";
        throw new NaruError("resource_exhausted", `"${filePath}" is too large: ${remedy}`);
      }
      parts.push(part);
      if (at >= end) break;
    }
    await answer(call, ReadFileResponseSchema, { data: Buffer.concat(parts) });
  };

const readDirectory =
  (filesOf: FilesOf, scopeOf: ScopeOf): GrpcHandler =>
  async (call) => {
    const request = fromBinary(ReadDirRequestSchema, await readOne(call));
    using files = await filesOf(scopeOf(call), request);
    const { includePattern } = request;
    const expression = includePattern === "" ? undefined : globExpression(includePattern);
    const entries = files
      .list(request.dirPath)
      .filter(({ path }) => expression?.test(path) ?? true)
      .map(statOf);
    await answer(call, ReadDirResponseSchema, { entries });
  };

const statFile =
  (filesOf: FilesOf, scopeOf: ScopeOf): GrpcHandler =>
  async (call) => {
    const request = fromBinary(StatFileRequestSchema, await readOne(call));
    using files = await filesOf(scopeOf(call), request);
    await answer(call, StatFileResponseSchema, { stat: statOf(files.stat(request.path)) });
  };

export const resultHandlers = (
  backend: DockerBackend,
  scopeOf: ScopeOf,
  prefix: string,
): readonly [string, GrpcHandler][] =>
  (
    [
      ["", resultFilesOf(backend)],
      ["Container", containerFilesOf],
    ] as const
  ).flatMap(([kind, filesOf]): [string, GrpcHandler][] => [
    [`${prefix}ReadFile${kind}`, readFile(filesOf, scopeOf)],
    [`${prefix}ReadDir${kind}`, readDirectory(filesOf, scopeOf)],
    [`${prefix}StatFile${kind}`, statFile(filesOf, scopeOf)],
  ]);
