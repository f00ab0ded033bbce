/** Files of a build's results, for clients that look into them before they give them back. */
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

const filesOf = async (
  backend: DockerBackend,
  { job }: GatewayScope,
  ref: string,
): Promise<ResultFiles> => {
  const isTree = job.trees.has(ref);
  const result = job.results.get(ref);
  if (!isTree && result === undefined) {
    throw new NaruError("not_found", `there is no result "${ref}" in build "${job.ref}"`);
  }
  const builds = await backend.builds();
  return builds.resultFiles(isTree ? job.trees.get(ref) : result?.chainId);
};

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
  (backend: DockerBackend, scopeOf: ScopeOf): GrpcHandler =>
  async (call) => {
    const { ref, filePath, range } = fromBinary(ReadFileRequestSchema, await readOne(call));
    using files = await filesOf(backend, scopeOf(call), ref);
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
  (backend: DockerBackend, scopeOf: ScopeOf): GrpcHandler =>
  async (call) => {
    const request = fromBinary(ReadDirRequestSchema, await readOne(call));
    using files = await filesOf(backend, scopeOf(call), request.ref);
    const { includePattern } = request;
    const expression = includePattern === "" ? undefined : globExpression(includePattern);
    const entries = files
      .list(request.dirPath)
      .filter(({ path }) => expression?.test(path) ?? true)
      .map(statOf);
    await answer(call, ReadDirResponseSchema, { entries });
  };

const statFile =
  (backend: DockerBackend, scopeOf: ScopeOf): GrpcHandler =>
  async (call) => {
    const { ref, path } = fromBinary(StatFileRequestSchema, await readOne(call));
    using files = await filesOf(backend, scopeOf(call), ref);
    await answer(call, StatFileResponseSchema, { stat: statOf(files.stat(path)) });
  };

export const resultHandlers = (
  backend: DockerBackend,
  scopeOf: ScopeOf,
  prefix: string,
): readonly [string, GrpcHandler][] => [
  [`${prefix}ReadFile`, readFile(backend, scopeOf)],
  [`${prefix}ReadDir`, readDirectory(backend, scopeOf)],
  [`${prefix}StatFile`, statFile(backend, scopeOf)],
];
