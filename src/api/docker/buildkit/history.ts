/** Builds that ran since the daemon started, as `buildx history` lists them. */
import { fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { DockerBackend } from "#api/docker/backend.ts";
import { answer } from "#api/docker/buildkit/answer.ts";
import type { Job } from "#api/docker/buildkit/jobs.ts";
import { stateOf } from "#api/docker/buildkit/state.ts";
import { type GrpcCall, type GrpcHandler, readOne } from "#api/grpc/server.ts";
import { statusNumber } from "#api/grpc/status.ts";
import { NaruError } from "#lib/errors.ts";
import {
  BuildHistoryEventSchema,
  BuildHistoryRequestSchema,
  EmptySchema,
  UpdateBuildHistoryRequestSchema,
} from "#spec/buildkit/control.gen.ts";

const STARTED = 0;
const COMPLETE = 1;
const DELETED = 2;

const recordOf = (job: Job) => ({
  ref: job.ref,
  frontend: job.frontend === "" ? "dockerfile.v0" : job.frontend,
  frontendAttrs: { ...job.attributes },
  exporters: job.exporters.map(({ type, attributes }) => ({ type, attrs: { ...attributes } })),
  createdAt: timestampFromMs(job.startedMs),
  ...(job.completedMs === undefined ? {} : { completedAt: timestampFromMs(job.completedMs) }),
  ...(job.error === undefined
    ? {}
    : { error: { code: statusNumber(job.error.code), message: job.error.message } }),
  exporterResponse: { ...job.response },
  pinned: job.isPinned,
  numCachedSteps: job.steps.counts.cached,
  numTotalSteps: job.steps.counts.total,
  numCompletedSteps: job.steps.counts.completed,
  numWarnings: job.warnings,
});

const tell = async (call: GrpcCall, job: Job): Promise<void> =>
  await answer(call, BuildHistoryEventSchema, {
    type: job.isRunning ? STARTED : COMPLETE,
    record: recordOf(job),
  });

const listen =
  (backend: DockerBackend): GrpcHandler =>
  async (call) => {
    const request = fromBinary(BuildHistoryRequestSchema, await readOne(call));
    if (request.filter.length > 0) {
      const reason = "filters of the build history are not supported by naru: leave them out";
      throw new NaruError("not_implemented", reason);
    }
    const { jobs } = stateOf(backend);
    const wanted = (): readonly Job[] =>
      jobs
        .list()
        .filter((job) => request.ref === "" || job.ref === request.ref)
        .filter((job) => !request.activeOnly || job.isRunning);
    // Newest first where only some are asked for.
    const all = wanted().toSorted((a, b) => b.startedMs - a.startedMs);
    const shown = request.limit > 0 ? all.slice(0, request.limit) : all;
    const told = new Map<string, boolean>();
    let wake = (): void => undefined;
    using watching = jobs.watch(() => wake());
    void watching;
    for (const job of shown) {
      told.set(job.ref, job.isRunning);
      await tell(call, job);
    }
    if (request.earlyExit) return;
    call.signal.addEventListener("abort", () => wake(), { once: true });
    while (!call.signal.aborted) {
      for (const job of jobs.list()) {
        if (told.get(job.ref) === job.isRunning) continue;
        if (request.ref !== "" && job.ref !== request.ref) continue;
        told.set(job.ref, job.isRunning);
        await tell(call, job);
      }
      for (const ref of [...told.keys()].filter((one) => jobs.find(one) === undefined)) {
        told.delete(ref);
        await answer(call, BuildHistoryEventSchema, { type: DELETED, record: { ref } });
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await promise;
    }
  };

const update =
  (backend: DockerBackend): GrpcHandler =>
  async (call) => {
    const request = fromBinary(UpdateBuildHistoryRequestSchema, await readOne(call));
    const { jobs } = stateOf(backend);
    const job = jobs.find(request.ref);
    if (job === undefined) {
      throw new NaruError("not_found", `there is no build "${request.ref}" in the history`);
    }
    if (request.delete) jobs.remove(request.ref);
    else if (!request.finalize) job.isPinned = request.pinned;
    await answer(call, EmptySchema, {});
  };

export const historyHandlers = (
  backend: DockerBackend,
  prefix: string,
): readonly [string, GrpcHandler][] => [
  [`${prefix}ListenBuildHistory`, listen(backend)],
  [`${prefix}UpdateBuildHistory`, update(backend)],
];
