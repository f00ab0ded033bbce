/** The control service: builds, their status, the cache, the history. */
import { fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { DockerBackend } from "#api/docker/backend.ts";
import { cacheMatcher, spaceOf } from "#api/docker/buildkit/cache-filter.ts";
import { type CacheExport, exportOf } from "#api/docker/buildkit/cache-options.ts";
import { answer } from "#api/docker/buildkit/answer.ts";
import { historyHandlers } from "#api/docker/buildkit/history.ts";
import type { ExporterOptions } from "#api/docker/buildkit/jobs.ts";
import { runJob } from "#api/docker/buildkit/run-job.ts";
import { stateOf } from "#api/docker/buildkit/state.ts";
import { BUILDER_VERSION, workerRecord } from "#api/docker/buildkit/worker-record.ts";
import { duplexOf } from "#api/grpc/duplex.ts";
import { type GrpcHandler, readOne } from "#api/grpc/server.ts";
import type { BuildCacheItem, PruneOptions } from "#build/build.ts";
import { formatInstant, nowNs } from "#lib/clock.ts";
import { NaruError } from "#lib/errors.ts";
import {
  type SolveRequest,
  BytesMessageSchema,
  DiskUsageRequestSchema,
  DiskUsageResponseSchema,
  InfoResponseSchema,
  ListWorkersResponseSchema,
  PruneRequestSchema,
  SolveRequestSchema,
  SolveResponseSchema,
  UsageRecordSchema,
} from "#spec/buildkit/control.gen.ts";

const refuse = (what: string, remedy: string): NaruError =>
  new NaruError("not_implemented", `${what} is not supported by naru: ${remedy}`);

const refuseUnsupported = (request: SolveRequest): void => {
  if (request.sourcePolicy.length > 0) throw refuse("a source policy", "leave it out");
  if (request.sourcePolicySession !== "") throw refuse("a source policy", "leave it out");
  if (request.proxyNetwork) throw refuse("a proxied network", "leave it out");
};

const exportersOf = (request: SolveRequest): ExporterOptions[] => {
  if (request.exporters.length > 0) {
    return request.exporters.map(({ type, attrs }) => ({ type, attributes: attrs }));
  }
  if (request.exporterDeprecated === "") return [];
  return [{ type: request.exporterDeprecated, attributes: request.exporterAttrsDeprecated }];
};

const cacheExportsOf = ({ cache, frontendAttrs }: SolveRequest): CacheExport[] => {
  const given = (cache?.exports ?? []).map(({ type, attrs }) =>
    exportOf({ type, attributes: attrs }),
  );
  // The older way to ask for it.
  const isAsked = frontendAttrs["build-arg:BUILDKIT_INLINE_CACHE"] === "1";
  return isAsked && !given.some(({ kind }) => kind === "inline")
    ? [...given, { kind: "inline" }]
    : given;
};

const solveBuild =
  (backend: DockerBackend): GrpcHandler =>
  async (call) => {
    const request = fromBinary(SolveRequestSchema, await readOne(call));
    const state = stateOf(backend);
    const job = state.jobs.start(request.ref);
    job.isInternal = request.internal;
    job.entitlements = request.entitlements;
    const exporterResponse = await runJob(backend, state, job, () => {
      refuseUnsupported(request);
      return {
        frontend: request.frontend,
        definition: request.definition,
        inputs: request.frontendInputs,
        attributes: request.frontendAttrs,
        exporters: exportersOf(request),
        cacheExports: cacheExportsOf(request),
        session: request.session,
        signal: call.signal,
      };
    });
    await answer(call, SolveResponseSchema, { exporterResponse: { ...exporterResponse } });
  };

const listWorkers =
  (backend: DockerBackend): GrpcHandler =>
  async (call) => {
    await readOne(call);
    const builds = await backend.builds();
    await answer(call, ListWorkersResponseSchema, { record: [workerRecord(builds.hostGateway())] });
  };

const msOf = (instant: string): number => Date.parse(instant);

const recordOf = (item: BuildCacheItem) => ({
  id: item.id,
  mutable: item.kind !== "regular",
  inUse: item.isInUse,
  size: BigInt(item.sizeBytes),
  createdAt: timestampFromMs(msOf(item.createdAt)),
  lastUsedAt: timestampFromMs(msOf(item.lastUsedAt)),
  usageCount: BigInt(item.useCount),
  description: item.description,
  recordType: item.kind,
  shared: item.isShared,
  parents: item.parent === "" ? [] : [item.parent],
});

const diskUsage =
  (backend: DockerBackend): GrpcHandler =>
  async (call) => {
    const { filter } = fromBinary(DiskUsageRequestSchema, await readOne(call));
    const matches = cacheMatcher(filter);
    const items = await (await backend.builds()).usage();
    const record = items.filter(matches).map(recordOf);
    await answer(call, DiskUsageResponseSchema, { record });
  };

const prune =
  (backend: DockerBackend): GrpcHandler =>
  async (call) => {
    const request = fromBinary(PruneRequestSchema, await readOne(call));
    const builds = await backend.builds();
    const items = (await builds.usage()).filter(cacheMatcher(request.filter));
    const hasFilter = request.filter.some((filter) => filter !== "");
    const options: PruneOptions = {
      isAll: request.all,
      ...spaceOf({
        reservedBytes: Number(request.reservedSpace),
        maxUsedBytes: Number(request.maxUsedSpace),
        minFreeBytes: Number(request.minFreeSpace),
      }),
      unusedSince:
        request.keepDuration > 0n ? formatInstant(nowNs() - request.keepDuration) : undefined,
      ids: !hasFilter ? [] : items.map(({ id }) => id),
      kinds: [],
    };
    if (hasFilter && items.length === 0) return;
    const { deleted } = await builds.prune(options);
    const gone = new Set(deleted);
    for (const item of items) {
      if (gone.has(item.id)) await answer(call, UsageRecordSchema, recordOf(item));
    }
  };

/** A session by messages in place of a connection of its own. */
const session =
  (backend: DockerBackend): GrpcHandler =>
  async (call) => {
    const { sessions } = stateOf(backend);
    const fields = new Map<string, string>();
    for (const [name, value] of Object.entries(call.metadata)) {
      if (value !== undefined) fields.set(name, Array.isArray(value) ? value.join(", ") : value);
    }
    sessions.check(fields);
    const abort = new AbortController();
    const signal = AbortSignal.any([call.signal, abort.signal]);
    const end = (): void => abort.abort();
    const input = async function* (): AsyncGenerator<Buffer, void> {
      for await (const message of call.messages) {
        yield Buffer.from(fromBinary(BytesMessageSchema, message).data);
      }
      // Its half-close is all that a client says at the end.
      end();
    };
    await sessions.serve(
      fields,
      duplexOf({
        input: input(),
        signal,
        write: async (data) => {
          const bytes = Buffer.from(data);
          // Bun 1.4.5's HTTP/2 sessions share a buffer: the inner one must have left it before the outer one writes.
          await new Promise<void>((resolve) => setImmediate(resolve));
          await answer(call, BytesMessageSchema, { data: bytes });
        },
        endOutput: end,
        dropInput: () => undefined,
      }),
    );
  };

const info: GrpcHandler = async (call) => {
  await readOne(call);
  await answer(call, InfoResponseSchema, { buildkitVersion: BUILDER_VERSION });
};

const PREFIX = "/moby.buildkit.v1.Control/";

export const controlHandlers = (backend: DockerBackend): ReadonlyMap<string, GrpcHandler> =>
  new Map([
    [`${PREFIX}Solve`, solveBuild(backend)],
    [`${PREFIX}ListWorkers`, listWorkers(backend)],
    [`${PREFIX}DiskUsage`, diskUsage(backend)],
    [`${PREFIX}Prune`, prune(backend)],
    [`${PREFIX}Info`, info],
    [`${PREFIX}Session`, session(backend)],
    ...historyHandlers(backend, PREFIX),
  ]);
