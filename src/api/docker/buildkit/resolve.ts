/** What sources are, for clients that make LLB out of them: the config of an image, found here or fetched. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { answer } from "#api/docker/buildkit/answer.ts";
import type { GatewayScope, ScopeOf } from "#api/docker/buildkit/gateway-scope.ts";
import { solveDefinition } from "#api/docker/buildkit/llb.ts";
import type { SolveContext } from "#api/docker/buildkit/solve.ts";
import { type GrpcCall, type GrpcHandler, readOne } from "#api/grpc/server.ts";
import type { ImageRecord } from "#image/image.ts";
import { NaruError } from "#lib/errors.ts";
import {
  ResolveImageConfigRequestSchema,
  ResolveImageConfigResponseSchema,
  ResolveSourceMetaRequestSchema,
  ResolveSourceMetaResponseSchema,
} from "#spec/buildkit/gateway.gen.ts";
import { OpPlatformSchema, SourceOpSchema } from "#spec/buildkit/llb.gen.ts";
import { sourceDefinition } from "#spec/buildkit/llb.ts";
import { type Platform, parsePlatform } from "#spec/image/platform.ts";

/** `bytes`: a platform of LLB; the host's where they name none. */
export const platformOf = (bytes: Uint8Array): Platform | undefined => {
  const { os, architecture, variant } = fromBinary(OpPlatformSchema, bytes);
  if (os === "") return undefined;
  return parsePlatform([os, architecture, variant].filter((part) => part !== "").join("/"));
};

/** As a build from it would have it: fetched where it is not here, or where its registry is to be asked. */
export const fetchImage = async (
  context: SolveContext,
  name: string,
  platform: Platform | undefined,
  isPulled = false,
): Promise<ImageRecord> => {
  const { backend, job } = context;
  if (isPulled || backend.images.find(name, platform) === undefined) {
    const attrs: Record<string, string> = isPulled ? { "image.resolvemode": "pull" } : {};
    const definition = sourceDefinition(`docker-image://${name}`, attrs, platform);
    await solveDefinition(context, definition, job.held);
  }
  return backend.images.get(name, platform);
};

/** The digest under which its registry knows it; "" for an image that was made here. */
const registryDigest = ({ repoDigests, manifestDigest }: ImageRecord): string =>
  manifestDigest !== undefined && repoDigests.some((name) => name.endsWith(`@${manifestDigest}`))
    ? manifestDigest
    : "";

const configOf = async (
  call: GrpcCall,
  scope: GatewayScope,
  name: string,
  request: { readonly platform: Uint8Array; readonly resolveMode: string },
) => {
  const context = await scope.context(call.signal);
  const isPulled = request.resolveMode === "pull";
  const image = await fetchImage(context, name, platformOf(request.platform), isPulled);
  return { digest: registryDigest(image), config: Buffer.from(image.configText) };
};

const imageConfig =
  (scopeOf: ScopeOf): GrpcHandler =>
  async (call) => {
    const request = fromBinary(ResolveImageConfigRequestSchema, await readOne(call));
    const { ref } = request;
    if (request.resolverType !== 0) {
      const reason = `the config of "${ref}" in the client's own store is not supported by naru`;
      throw new NaruError("not_implemented", `${reason}: use it as a source`);
    }
    await answer(call, ResolveImageConfigResponseSchema, {
      ...(await configOf(call, scopeOf(call), ref, request)),
      ref,
    });
  };

const sourceMeta =
  (scopeOf: ScopeOf): GrpcHandler =>
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
      image: await configOf(call, scopeOf(call), name, request),
    });
  };

export const resolveHandlers = (
  scopeOf: ScopeOf,
  prefix: string,
): readonly [string, GrpcHandler][] => [
  [`${prefix}ResolveImageConfig`, imageConfig(scopeOf)],
  [`${prefix}ResolveSourceMeta`, sourceMeta(scopeOf)],
];
