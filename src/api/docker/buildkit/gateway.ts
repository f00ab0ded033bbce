/**
 * The gateway: buildx runs its build function on its own side and asks for each build by this service, with the
 * reference of the solve that waits for its result in the metadata.
 */
import { fromBinary } from "@bufbuild/protobuf";
import type { DockerBackend } from "#api/docker/backend.ts";
import { answer } from "#api/docker/buildkit/answer.ts";
import { jobOf } from "#api/docker/buildkit/job-of.ts";
import { definitionOf, solveDefinition } from "#api/docker/buildkit/llb.ts";
import { resolveHandlers } from "#api/docker/buildkit/resolve.ts";
import { resultHandlers } from "#api/docker/buildkit/results.ts";
import { contextOf } from "#api/docker/buildkit/run-job.ts";
import { type SolveContext, solve } from "#api/docker/buildkit/solve.ts";
import { stateOf } from "#api/docker/buildkit/state.ts";
import { type GrpcCall, type GrpcHandler, readOne } from "#api/grpc/server.ts";
import { randomHex } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { EmptySchema } from "#spec/buildkit/control.gen.ts";
import {
  type GatewaySolveRequest,
  GatewaySolveRequestSchema,
  GatewaySolveResponseSchema,
  PongResponseSchema,
  type Result,
  ReturnRequestSchema,
} from "#spec/buildkit/gateway.gen.ts";
import type { Digest } from "#spec/image/digest.ts";

const FRONTEND_CAPABILITIES = [
  "solve.base",
  "solve.inlinereturn",
  "resolveimage",
  "resolveimage.resolvemode",
  "return",
  "returnmap",
  "proto.refarray",
  "importcaches",
  "gateway.solve.metadata",
  "gateway.solve.evaluate",
  "gateway.evaluate",
  "frontend.caps",
  "readfile",
  "readdir",
  "statfile",
  "inputs",
  "reference.output",
  "gateway.solve.proto.errordetail",
  "source.metaresolver",
];

const LLB_CAPABILITIES = [
  "exporter.multiple",
  "exporter.image.attestations",
  "exporter.image.annotations",
  "history.filter",
  "source.image",
  "source.image.resolvemode",
  "source.local",
  "source.local.unique",
  "source.local.sessionid",
  "source.local.includepatterns",
  "source.local.followpaths",
  "source.local.excludepatterns",
  "source.local.sharedkeyhint",
  "source.local.differ",
  "source.git",
  "source.git.keepgitdir",
  "source.git.fullurl",
  "source.git.subdir",
  "source.git.checksum",
  "source.http",
  "source.http.checksum",
  "source.http.perm",
  "source.http.uidgid",
  "source.ocilayout",
  "exec.meta.base",
  "exec.meta.cgroup.parent",
  "exec.meta.network",
  "exec.meta.proxyenv",
  "exec.meta.security",
  "exec.meta.setsdefaultpath",
  "exec.meta.ulimit",
  "exec.mount.bind",
  "exec.mount.bind.readwrite-nooutput",
  "exec.mount.cache",
  "exec.mount.cache.sharing",
  "exec.mount.selector",
  "exec.mount.tmpfs",
  "exec.mount.tmpfs.size",
  "exec.mount.secret",
  "exec.mount.ssh",
  "exec.secretenv",
  "exec.validexitcode",
  "exec.cwd",
  "file.base",
  "file.rm.wildcard",
  "file.rm.nofollowsymlink",
  "file.copy.includeexcludepatterns",
  "file.copy.alwaysreplaceexistingdestpaths",
  "file.copy.modestring",
  "file.symlink.create",
  "constraints",
  "platform",
  "meta.ignorecache",
  "meta.description",
  "mergeop",
  "diffop",
];

const ping: GrpcHandler = async (call) => {
  await readOne(call);
  await answer(call, PongResponseSchema, {
    frontendCapabilities: FRONTEND_CAPABILITIES.map((id) => ({ id, enabled: true })),
    llbCapabilities: LLB_CAPABILITIES.map((id) => ({ id, enabled: true })),
  });
};

const IMAGE_CONFIG = "containerimage.config";

const refTo = (id: string, chainId: Digest | undefined, metadata: Record<string, Uint8Array>) => ({
  result: { case: "ref" as const, value: { id, def: definitionOf(chainId) } },
  metadata,
});

/** LLB without a frontend: its layers are a result of the job, until the job is over. */
const solveTree = async (
  call: GrpcCall,
  context: SolveContext,
  request: GatewaySolveRequest,
): Promise<void> => {
  // An empty request is asked for an empty result.
  if (request.definition.length === 0) return await answer(call, GatewaySolveResponseSchema, {});
  const { job } = context;
  const chainId = await solveDefinition(context, request.definition, job.held);
  const id = randomHex(16);
  job.trees.set(id, chainId);
  await answer(call, GatewaySolveResponseSchema, { ref: id, result: refTo(id, chainId, {}) });
};

const solveByGateway =
  (backend: DockerBackend): GrpcHandler =>
  async (call) => {
    const request = fromBinary(GatewaySolveRequestSchema, await readOne(call));
    const job = jobOf(backend, call);
    const { session, signal } = await job.begun.promise;
    const both = AbortSignal.any([signal, call.signal]);
    const base = await contextOf(backend, stateOf(backend), job, session, both);
    if (request.frontend === "") return await solveTree(call, base, request);
    if (request.frontend !== "dockerfile.v0") {
      const reason = `frontend "${request.frontend}" is not supported by naru: use dockerfile.v0`;
      throw new NaruError("not_implemented", reason);
    }
    const context = { ...base, inputs: request.frontendInputs };
    job.attributes = request.frontendOpt;
    const solved = await solve(context, request.frontendOpt);
    if (solved.kind === "answer") {
      const metadata = Object.fromEntries(solved.metadata);
      const result = { result: { case: "ref" as const, value: { id: "" } }, metadata };
      return await answer(call, GatewaySolveResponseSchema, { result });
    }
    const id = randomHex(16);
    job.results.set(id, solved.result);
    const { chainId, imageId } = solved.result;
    // What stands on it needs its config as well.
    const metadata = { [IMAGE_CONFIG]: Buffer.from(backend.images.get(imageId).configText) };
    await answer(call, GatewaySolveResponseSchema, {
      ref: id,
      result: refTo(id, chainId, metadata),
    });
  };

/** The id of the only result; "" for none. */
const refOf = (result: Result | undefined): string => {
  if (result === undefined) return "";
  const { result: one } = result;
  switch (one.case) {
    case "ref":
      return one.value.id;
    case "refDeprecated":
      return one.value;
    case "refs": {
      const ids = Object.values(one.value.refs).map(({ id }) => id);
      if (ids.length > 1) {
        const reason = "results for several platforms are not supported: build one at a time";
        throw new NaruError("not_implemented", reason);
      }
      return ids[0] ?? "";
    }
    case undefined:
      return "";
  }
};

const giveBack =
  (backend: DockerBackend): GrpcHandler =>
  async (call) => {
    const request = fromBinary(ReturnRequestSchema, await readOne(call));
    const job = jobOf(backend, call);
    if (request.error !== undefined) {
      job.returned.reject(
        new NaruError("internal", request.error.message, { details: { isUsers: true } }),
      );
      return await answer(call, EmptySchema, {});
    }
    const id = refOf(request.result);
    const config = Buffer.from(request.result?.metadata[IMAGE_CONFIG] ?? []).toString();
    const result = job.trees.has(id)
      ? (await backend.builds()).imageOf(job.trees.get(id), config)
      : job.results.get(id);
    if (id !== "" && result === undefined) {
      throw new NaruError("not_found", `there is no result "${id}" in build "${job.ref}"`);
    }
    job.returned.resolve({ result });
    await answer(call, EmptySchema, {});
  };

/** Everything that was asked for has run already. */
const evaluate: GrpcHandler = async (call) => {
  await readOne(call);
  await answer(call, EmptySchema, {});
};

const PREFIX = "/moby.buildkit.v1.frontend.LLBBridge/";

export const gatewayHandlers = (backend: DockerBackend): ReadonlyMap<string, GrpcHandler> =>
  new Map([
    [`${PREFIX}Ping`, ping],
    [`${PREFIX}Solve`, solveByGateway(backend)],
    [`${PREFIX}Return`, giveBack(backend)],
    ...resultHandlers(backend, PREFIX),
    ...resolveHandlers(backend, PREFIX),
    [`${PREFIX}Evaluate`, evaluate],
  ]);
