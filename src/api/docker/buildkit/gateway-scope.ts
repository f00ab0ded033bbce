/**
 * What a caller of the gateway belongs to: a client's own build function says it in its call's metadata, a frontend's
 * program by the connection that it was given.
 */
import type { DockerBackend } from "#api/docker/backend.ts";
import type { GatewayContainers } from "#api/docker/buildkit/gateway-containers.ts";
import type { Job, Returned } from "#api/docker/buildkit/jobs.ts";
import { jobOf } from "#api/docker/buildkit/job-of.ts";
import { contextOf } from "#api/docker/buildkit/run-job.ts";
import type { SolveContext } from "#api/docker/buildkit/solve.ts";
import { stateOf } from "#api/docker/buildkit/state.ts";
import type { GrpcCall } from "#api/grpc/server.ts";

export interface GatewayScope {
  readonly job: Job;
  /** LLB by name that came with the request. */
  readonly inputs: Readonly<Record<string, Uint8Array>>;
  /** That its caller has. */
  readonly containers: GatewayContainers;
  /** Settled by Return. */
  readonly returned: PromiseWithResolvers<Returned>;
  /** Waits until the build has begun. */
  context(signal: AbortSignal): Promise<SolveContext>;
}

export type ScopeOf = (call: GrpcCall) => GatewayScope;

/** Of a client that runs its build function on its own side. */
export const scopeOfClient =
  (backend: DockerBackend): ScopeOf =>
  (call) => {
    const job = jobOf(backend, call);
    return {
      job,
      inputs: {},
      containers: job.containers,
      returned: job.returned,
      context: async (own) => {
        const { session, signal } = await job.begun.promise;
        const both = AbortSignal.any([signal, own]);
        return await contextOf(backend, stateOf(backend), job, session, both);
      },
    };
  };
