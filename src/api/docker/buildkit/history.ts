/** Builds that run and builds that are over, as `buildx history` lists them, and what they said. */
import { readFile } from "node:fs/promises";
import { type MessageInitShape, create, fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { DockerBackend } from "#api/docker/backend.ts";
import { answer } from "#api/docker/buildkit/answer.ts";
import { historyFilter } from "#api/docker/buildkit/history-filter.ts";
import type { Job, Jobs } from "#api/docker/buildkit/jobs.ts";
import { unpackStatus } from "#api/docker/buildkit/status-log.ts";
import { stateOf } from "#api/docker/buildkit/state.ts";
import { type GrpcCall, type GrpcHandler, readOne } from "#api/grpc/server.ts";
import { statusNumber } from "#api/grpc/status.ts";
import type { BuildHistory, BuildRecord } from "#build/history.ts";
import { nowNs } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import {
  BuildHistoryEventSchema,
  BuildHistoryRequestSchema,
  type BuildHistoryRecordSchema,
  BuildResultInfoSchema,
  EmptySchema,
  StatusRequestSchema,
  UpdateBuildHistoryRequestSchema,
} from "#spec/buildkit/control.gen.ts";

const STARTED = 0;
const COMPLETE = 1;
const DELETED = 2;

/** As BuildKit names what `StatusLog.packed` gives. */
const LOG_TYPE = "application/vnd.buildkit.status.v0";

type Build = Omit<BuildRecord, "completedMs" | "log"> & {
  readonly completedMs: number | undefined;
  readonly log: BuildRecord["log"] | undefined;
};

const buildOfJob = (job: Job): Build => ({
  ...job.record(),
  completedMs: job.completedMs,
  log: undefined,
});

const ATTESTATION_TYPE = "application/vnd.in-toto+json";

/** Of one result, or of one for each platform. */
const resultsOf = (
  attestations: BuildRecord["attestations"] = [],
): Pick<MessageInitShape<typeof BuildHistoryRecordSchema>, "result" | "results"> => {
  const infos = attestations.map(({ platform, predicateType, digest, sizeBytes }) => {
    const descriptor = {
      mediaType: ATTESTATION_TYPE,
      digest,
      size: BigInt(sizeBytes),
      annotations: { "in-toto.io/predicate-type": predicateType },
    };
    return [platform, create(BuildResultInfoSchema, { attestations: [descriptor] })] as const;
  });
  const [only] = infos;
  if (infos.length > 1) return { results: Object.fromEntries(infos) };
  return only === undefined ? {} : { result: only[1] };
};

const recordOf = (build: Build): MessageInitShape<typeof BuildHistoryRecordSchema> => ({
  ref: build.ref,
  frontend: build.frontend,
  frontendAttrs: { ...build.attributes },
  exporters: build.exporters.map(({ type, attributes }) => ({ type, attrs: { ...attributes } })),
  createdAt: timestampFromMs(build.startedMs),
  ...(build.completedMs === undefined ? {} : { completedAt: timestampFromMs(build.completedMs) }),
  ...(build.error === undefined
    ? {}
    : { error: { code: statusNumber(build.error.code), message: build.error.message } }),
  ...(build.log === undefined
    ? {}
    : {
        logs: {
          mediaType: LOG_TYPE,
          digest: build.log.digest,
          size: BigInt(build.log.sizeBytes),
        },
      }),
  exporterResponse: { ...build.response },
  ...resultsOf(build.attestations),
  pinned: build.isPinned,
  numCachedSteps: build.steps.cached,
  numTotalSteps: build.steps.total,
  numCompletedSteps: build.steps.completed,
  numWarnings: build.warnings,
});

const tell = async (call: GrpcCall, build: Build): Promise<void> =>
  await answer(call, BuildHistoryEventSchema, {
    type: build.completedMs === undefined ? STARTED : COMPLETE,
    record: recordOf(build),
  });

/** Those that run, and those that are over. */
const buildsOf = (jobs: Jobs, history: BuildHistory): ReadonlyMap<string, Build> => {
  const builds = new Map<string, Build>();
  for (const record of history.list()) builds.set(record.ref, record);
  for (const job of jobs.list()) if (!builds.has(job.ref)) builds.set(job.ref, buildOfJob(job));
  return builds;
};

const nowMs = (): number => Number(nowNs() / 1_000_000n);

const listen =
  (backend: DockerBackend): GrpcHandler =>
  async (call) => {
    const request = fromBinary(BuildHistoryRequestSchema, await readOne(call));
    if (request.limit < 0) {
      throw new NaruError("invalid_argument", `the limit ${request.limit} is below 0`);
    }
    const passes = historyFilter(request.filter);
    const { jobs } = stateOf(backend);
    const { history } = await backend.builds();
    history.prune(nowMs());
    const wanted = (): Build[] =>
      [...buildsOf(jobs, history).values()]
        .filter(({ ref }) => request.ref === "" || ref === request.ref)
        .filter(({ completedMs }) => !request.activeOnly || completedMs === undefined)
        .filter((build) => passes(build, nowMs()));
    // Newest first where only some are asked for.
    const all = wanted().toSorted((a, b) => b.startedMs - a.startedMs);
    const shown = request.limit > 0 ? all.slice(0, request.limit) : all;
    const told = new Map<string, boolean>();
    let wake = (): void => undefined;
    using watching = jobs.watch(() => wake());
    void watching;
    for (const build of shown) {
      told.set(build.ref, build.completedMs === undefined);
      await tell(call, build);
    }
    if (request.earlyExit) return;
    call.signal.addEventListener("abort", () => wake(), { once: true });
    // What was left out for the limit is not news.
    const isOld = new Set(all.slice(shown.length).map(({ ref }) => ref));
    while (!call.signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      for (const build of wanted()) {
        const isRunning = build.completedMs === undefined;
        if (told.get(build.ref) === isRunning || isOld.has(build.ref)) continue;
        told.set(build.ref, isRunning);
        await tell(call, build);
      }
      const present = buildsOf(jobs, history);
      for (const ref of [...told.keys()].filter((one) => !present.has(one))) {
        told.delete(ref);
        await answer(call, BuildHistoryEventSchema, { type: DELETED, record: { ref } });
      }
      await promise;
    }
  };

const update =
  (backend: DockerBackend): GrpcHandler =>
  async (call) => {
    const request = fromBinary(UpdateBuildHistoryRequestSchema, await readOne(call));
    const { jobs } = stateOf(backend);
    const { history } = await backend.builds();
    if (jobs.find(request.ref)?.isRunning === true && request.delete) {
      const remedy = "end it first";
      throw new NaruError("failed_precondition", `build "${request.ref}" is running: ${remedy}`);
    }
    if (request.delete) history.remove(request.ref);
    // There is no trace of a build that would have to be written out first.
    else if (!request.finalize) history.setPinned(request.ref, request.pinned);
    jobs.changed();
    await answer(call, EmptySchema, {});
  };

/** What a build says, from its first message on; of one that is over, what it said. */
const status =
  (backend: DockerBackend): GrpcHandler =>
  async (call) => {
    const { ref } = fromBinary(StatusRequestSchema, await readOne(call));
    const { jobs } = stateOf(backend);
    const { history } = await backend.builds();
    const record = jobs.find(ref) === undefined ? history.find(ref) : undefined;
    const blob = record === undefined ? undefined : history.blob(record.log.digest);
    if (blob === undefined) {
      const job = jobs.expect(ref);
      for await (const message of job.log.read(call.signal)) await call.send(message);
      return;
    }
    for (const message of unpackStatus(await readFile(blob.path))) await call.send(message);
  };

export const historyHandlers = (
  backend: DockerBackend,
  prefix: string,
): readonly [string, GrpcHandler][] => [
  [`${prefix}Status`, status(backend)],
  [`${prefix}ListenBuildHistory`, listen(backend)],
  [`${prefix}UpdateBuildHistory`, update(backend)],
];
