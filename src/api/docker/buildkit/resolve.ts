/** What sources are, for clients that make LLB out of them: the config of an image, found here or fetched. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { DockerBackend } from "#api/docker/backend.ts";
import { answer } from "#api/docker/buildkit/answer.ts";
import { jobOf } from "#api/docker/buildkit/job-of.ts";
import { solveDefinition } from "#api/docker/buildkit/llb.ts";
import { contextOf } from "#api/docker/buildkit/run-job.ts";
import { stateOf } from "#api/docker/buildkit/state.ts";
import { type GrpcCall, type GrpcHandler, readOne } from "#api/grpc/server.ts";
import { NaruError } from "#lib/errors.ts";
import {
  ResolveImageConfigRequestSchema,
  ResolveImageConfigResponseSchema,
  ResolveSourceMetaRequestSchema,
  ResolveSourceMetaResponseSchema,
} from "#spec/buildkit/gateway.gen.ts";
import { SourceOpSchema } from "#spec/buildkit/llb.gen.ts";
import { sourceDefinition } from "#spec/buildkit/llb.ts";
import { digestOf } from "#spec/image/digest.ts";

/** Fetched where it is not here, as a build from it would. */
const configOf = async (backend: DockerBackend, call: GrpcCall, name: string) => {
  if (backend.images.find(name) === undefined) {
    const job = jobOf(backend, call);
    const { session, signal } = await job.begun.promise;
    const both = AbortSignal.any([signal, call.signal]);
    const context = await contextOf(backend, stateOf(backend), job, session, both);
    await solveDefinition(context, sourceDefinition(`docker-image://${name}`), job.held);
  }
  const config = Buffer.from(backend.images.get(name).configText);
  return { digest: digestOf(config), config };
};

const imageConfig =
  (backend: DockerBackend): GrpcHandler =>
  async (call) => {
    const { ref } = fromBinary(ResolveImageConfigRequestSchema, await readOne(call));
    await answer(call, ResolveImageConfigResponseSchema, {
      ...(await configOf(backend, call, ref)),
      ref,
    });
  };

const sourceMeta =
  (backend: DockerBackend): GrpcHandler =>
  async (call) => {
    const request = fromBinary(ResolveSourceMetaRequestSchema, await readOne(call));
    const source = fromBinary(SourceOpSchema, request.source);
    const [scheme = "", name = ""] = source.identifier.split(/:\/\/(.*)/s);
    if (scheme !== "docker-image") {
      const what = `looking "${source.identifier}" up without fetching it`;
      throw new NaruError(
        "not_implemented",
        `${what} is not supported by naru: use it as a source`,
      );
    }
    await answer(call, ResolveSourceMetaResponseSchema, {
      source: toBinary(SourceOpSchema, create(SourceOpSchema, source)),
      image: await configOf(backend, call, name),
    });
  };

export const resolveHandlers = (
  backend: DockerBackend,
  prefix: string,
): readonly [string, GrpcHandler][] => [
  [`${prefix}ResolveImageConfig`, imageConfig(backend)],
  [`${prefix}ResolveSourceMeta`, sourceMeta(backend)],
];
