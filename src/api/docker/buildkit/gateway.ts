/**
 * The gateway: buildx runs its build function on its own side and asks for each build by this service, with the
 * reference of the solve that waits for its result in the metadata.
 */
import { fromBinary } from "@bufbuild/protobuf";
import type { DockerBackend } from "#api/docker/backend.ts";
import { answer } from "#api/docker/buildkit/answer.ts";
import type { Job } from "#api/docker/buildkit/jobs.ts";
import { contextOf } from "#api/docker/buildkit/run-job.ts";
import { solve } from "#api/docker/buildkit/solve.ts";
import { stateOf } from "#api/docker/buildkit/state.ts";
import { type GrpcCall, type GrpcHandler, readOne } from "#api/grpc/server.ts";
import { randomHex } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import { EmptySchema } from "#spec/buildkit/control.gen.ts";
import {
  GatewaySolveRequestSchema,
  GatewaySolveResponseSchema,
  PongResponseSchema,
  ResolveImageConfigRequestSchema,
  ResolveImageConfigResponseSchema,
  type Result,
  ReturnRequestSchema,
} from "#spec/buildkit/gateway.gen.ts";
import { digestOf } from "#spec/image/digest.ts";

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
];

const LLB_CAPABILITIES = ["exporter.multiple", "history.filter"];

const ping: GrpcHandler = async (call) => {
  await readOne(call);
  await answer(call, PongResponseSchema, {
    frontendCapabilities: FRONTEND_CAPABILITIES.map((id) => ({ id, enabled: true })),
    llbCapabilities: LLB_CAPABILITIES.map((id) => ({ id, enabled: true })),
  });
};

const jobOf = (backend: DockerBackend, call: GrpcCall): Job => {
  const ref = call.metadata["buildkit-controlapi-buildid"];
  if (typeof ref === "string" && ref !== "") return stateOf(backend).jobs.expect(ref);
  throw new NaruError("invalid_argument", `"${call.path}" came without the id of its build`);
};

const solveByGateway =
  (backend: DockerBackend): GrpcHandler =>
  async (call) => {
    const request = fromBinary(GatewaySolveRequestSchema, await readOne(call));
    const job = jobOf(backend, call);
    const hasInputs = Object.keys(request.frontendInputs).length > 0;
    if ((request.definition?.def.length ?? 0) > 0 || hasInputs) {
      const reason = "a build by LLB definitions is not supported by naru: use a Dockerfile";
      throw new NaruError("not_implemented", reason);
    }
    if (request.frontend !== "dockerfile.v0") {
      // An empty request is asked for an empty result.
      if (request.frontend === "") return await answer(call, GatewaySolveResponseSchema, {});
      const reason = `frontend "${request.frontend}" is not supported by naru: use dockerfile.v0`;
      throw new NaruError("not_implemented", reason);
    }
    const { session, signal } = await job.begun.promise;
    const both = AbortSignal.any([signal, call.signal]);
    const context = await contextOf(backend, stateOf(backend), job, session, both);
    job.attributes = request.frontendOpt;
    const solved = await solve(context, request.frontendOpt);
    if (solved.kind === "answer") {
      const metadata = Object.fromEntries(solved.metadata);
      const result = { result: { case: "ref" as const, value: { id: "" } }, metadata };
      return await answer(call, GatewaySolveResponseSchema, { result });
    }
    const id = randomHex(16);
    job.results.set(id, solved.result);
    const result = { result: { case: "ref" as const, value: { id } } };
    await answer(call, GatewaySolveResponseSchema, { ref: id, result });
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
    const result = job.results.get(id);
    if (id !== "" && result === undefined) {
      throw new NaruError("not_found", `there is no result "${id}" in build "${job.ref}"`);
    }
    job.returned.resolve({ result });
    await answer(call, EmptySchema, {});
  };

const resolveImageConfig =
  (backend: DockerBackend): GrpcHandler =>
  async (call) => {
    const { ref } = fromBinary(ResolveImageConfigRequestSchema, await readOne(call));
    const { configText } = backend.images.get(ref);
    const config = Buffer.from(configText);
    await answer(call, ResolveImageConfigResponseSchema, { digest: digestOf(config), config, ref });
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
    [`${PREFIX}ResolveImageConfig`, resolveImageConfig(backend)],
    [`${PREFIX}Evaluate`, evaluate],
  ]);
