/**
 * The gateway: what makes definitions asks for builds by this service. buildx runs its build function on its own side,
 * with the reference of the solve that waits for its result in the metadata; a frontend out of an image asks over its
 * standard input and output.
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { DockerBackend } from "#api/docker/backend.ts";
import { answer } from "#api/docker/buildkit/answer.ts";
import { FRONTEND_CAPABILITIES, LLB_CAPABILITIES } from "#api/docker/buildkit/capabilities.ts";
import { containerHandlers } from "#api/docker/buildkit/container-calls.ts";
import type { ScopeOf } from "#api/docker/buildkit/gateway-scope.ts";
import { definitionOf, solveDefinition } from "#api/docker/buildkit/llb.ts";
import { resolveHandlers } from "#api/docker/buildkit/resolve.ts";
import { resultHandlers } from "#api/docker/buildkit/results.ts";
import { IMAGE_CONFIG, returnedOf } from "#api/docker/buildkit/returned.ts";
import type { SolveContext } from "#api/docker/buildkit/solve.ts";
import { stateOf } from "#api/docker/buildkit/state.ts";
import { type GrpcCall, type GrpcHandler, readOne } from "#api/grpc/server.ts";
import { randomHex } from "#lib/clock.ts";
import { BuildStepError } from "#build/build.ts";
import { LAYERS_FAILURE, LAYERS_SCHEME } from "#build/llb/llb.ts";
import { NaruError } from "#lib/errors.ts";
import { EmptySchema, VertexWarningSchema } from "#spec/buildkit/control.gen.ts";
import {
  EvaluateRequestSchema,
  type GatewaySolveRequest,
  GatewaySolveRequestSchema,
  GatewaySolveResponseSchema,
  InputsResponseSchema,
  PongResponseSchema,
  ReturnRequestSchema,
} from "#spec/buildkit/gateway.gen.ts";
import { sourceDefinition } from "#spec/buildkit/llb.ts";
import type { Digest } from "#spec/image/digest.ts";

const ping: GrpcHandler = async (call) => {
  await readOne(call);
  await answer(call, PongResponseSchema, {
    frontendCapabilities: FRONTEND_CAPABILITIES.map((id) => ({ id, enabled: true })),
    llbCapabilities: LLB_CAPABILITIES.map((id) => ({ id, enabled: true })),
  });
};

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

interface Failed {
  readonly kind: "failed";
  readonly error: NaruError;
}

/** A command that failed, where the caller does not wait for it. Throws any other error. */
const failedOf = (error: unknown, { evaluate: isAwaited }: GatewaySolveRequest): Failed => {
  const isProcess =
    error instanceof NaruError &&
    error.cause instanceof BuildStepError &&
    error.cause.process !== undefined;
  if (!isProcess || isAwaited) throw error;
  return { kind: "failed", error };
};

/** A result that is none: who asks for it hears why. Debuggers begin at that. */
const answerFailed = async (
  call: GrpcCall,
  { job }: SolveContext,
  error: NaruError,
): Promise<void> => {
  const id = randomHex(16);
  job.failures.set(id, error);
  const def = sourceDefinition(`${LAYERS_SCHEME}://`, { [LAYERS_FAILURE]: error.message });
  const result = { result: { case: "ref" as const, value: { id, def } }, metadata: {} };
  await answer(call, GatewaySolveResponseSchema, { ref: id, result });
};

const solveByGateway =
  (backend: DockerBackend, scopeOf: ScopeOf): GrpcHandler =>
  async (call) => {
    const request = fromBinary(GatewaySolveRequestSchema, await readOne(call));
    const scope = scopeOf(call);
    const { job } = scope;
    const context = await scope.context(call.signal);
    // It may wind up later than the build whose client has gone.
    await using _running = stateOf(backend).nameless.enter(backend);
    if (request.frontend === "") return await solveTree(call, context, request);
    const { frontend, frontendOpt: attributes, frontendInputs: inputs } = request;
    // Asked by the client, it is the build that its history tells of.
    if (context.depth === undefined) job.attributes = attributes;
    const { solveFrontend } = await import("#api/docker/buildkit/frontend.ts");
    const solved = await solveFrontend(context, { frontend, attributes, inputs }).catch(
      (error: unknown) => failedOf(error, request),
    );
    if (solved.kind === "failed") return await answerFailed(call, context, solved.error);
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

const giveBack =
  (backend: DockerBackend, scopeOf: ScopeOf): GrpcHandler =>
  async (call) => {
    const request = fromBinary(ReturnRequestSchema, await readOne(call));
    const { job, returned } = scopeOf(call);
    if (request.error === undefined) {
      try {
        returned.resolve(await returnedOf(backend, job, request.result));
      } catch (error) {
        // Of a command that failed, the build itself tells, not the giving back.
        if (![...job.failures.values()].some((failure) => failure === error)) throw error;
        returned.reject(error);
      }
    } else {
      // Who asked shows the place that it was told of before.
      const statusDetails = request.error.details.map((detail) => toBinary(AnySchema, detail));
      const details = { isUsers: true, statusDetails };
      returned.reject(new NaruError("internal", request.error.message, { details }));
    }
    await answer(call, EmptySchema, {});
  };

const giveInputs =
  (scopeOf: ScopeOf): GrpcHandler =>
  async (call) => {
    await readOne(call);
    await answer(call, InputsResponseSchema, { definitions: { ...scopeOf(call).inputs } });
  };

/** A warning has the same fields on the wire as one of the status. */
const warn =
  (scopeOf: ScopeOf): GrpcHandler =>
  async (call) => {
    const warning = fromBinary(VertexWarningSchema, await readOne(call));
    const { job } = scopeOf(call);
    job.warnings += 1;
    await job.log.add({ warnings: [warning] });
    await answer(call, EmptySchema, {});
  };

/** Everything that was asked for has run already. */
const evaluate =
  (scopeOf: ScopeOf): GrpcHandler =>
  async (call) => {
    const { ref } = fromBinary(EvaluateRequestSchema, await readOne(call));
    scopeOf(call).job.check(ref);
    await answer(call, EmptySchema, {});
  };

const PREFIX = "/moby.buildkit.v1.frontend.LLBBridge/";

/** `scopeOf` says whose build a call belongs to; it throws invalid_argument where that is unknown. */
export const gatewayHandlers = (
  backend: DockerBackend,
  scopeOf: ScopeOf,
): ReadonlyMap<string, GrpcHandler> =>
  new Map([
    [`${PREFIX}Ping`, ping],
    [`${PREFIX}Solve`, solveByGateway(backend, scopeOf)],
    [`${PREFIX}Return`, giveBack(backend, scopeOf)],
    [`${PREFIX}Inputs`, giveInputs(scopeOf)],
    [`${PREFIX}Warn`, warn(scopeOf)],
    ...resultHandlers(backend, scopeOf, PREFIX),
    ...resolveHandlers(scopeOf, PREFIX),
    [`${PREFIX}Evaluate`, evaluate(scopeOf)],
    ...containerHandlers(backend, scopeOf, PREFIX),
  ]);
