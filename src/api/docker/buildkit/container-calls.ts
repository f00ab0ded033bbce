/** Containers of a build function's own: it makes them of results, and has processes in them, by one stream for all. */
import { fromBinary } from "@bufbuild/protobuf";
import type { DockerBackend } from "#api/docker/backend.ts";
import { answer } from "#api/docker/buildkit/answer.ts";
import { RemoteProcess } from "#api/docker/buildkit/container-process.ts";
import type { GatewayScope, ScopeOf } from "#api/docker/buildkit/gateway-scope.ts";
import { clientOf } from "#api/docker/buildkit/llb.ts";
import { platformOf } from "#api/docker/buildkit/resolve.ts";
import { type GrpcCall, type GrpcHandler, readOne } from "#api/grpc/server.ts";
import type { ContainerRequest } from "#build/llb/llb.ts";
import { NaruError } from "#lib/errors.ts";
import { EmptySchema } from "#spec/buildkit/control.gen.ts";
import {
  type ExecMessage,
  ExecMessageSchema,
  type InitMessage,
  NewContainerRequestSchema,
  ReleaseContainerRequestSchema,
} from "#spec/buildkit/gateway.gen.ts";
import {
  ExecMetaSchema,
  ExecMountSchema,
  HostAddressSchema,
  SecretEnvSchema,
} from "#spec/buildkit/llb.gen.ts";
import { signalNumber } from "#spec/docker/signals.ts";

const hostOf = (bytes: Uint8Array): string => {
  const { host, ip } = fromBinary(HostAddressSchema, bytes);
  return `${host}:${ip}`;
};

type Mounts = ContainerRequest["mounts"];

/** The results that they name; nothing but what the caller was given. */
const mountsOf = ({ job }: GatewayScope, all: readonly Uint8Array[]): Mounts =>
  all.map((bytes) => {
    const mount = fromBinary(ExecMountSchema, bytes);
    const { resultId } = mount;
    return { mount, tree: resultId === "" ? undefined : job.treeOf(resultId) };
  });

const newContainer =
  (backend: DockerBackend, scopeOf: ScopeOf): GrpcHandler =>
  async (call) => {
    const request = fromBinary(NewContainerRequestSchema, await readOne(call));
    const scope = scopeOf(call);
    const { containers, job } = scope;
    const wanted = request.constraints?.filter[0];
    if (wanted !== undefined) {
      const reason = `a container on a worker with "${wanted}" is not supported by naru`;
      throw new NaruError("not_implemented", `${reason}: there is one worker, leave it out`);
    }
    const { containerId, network, hostname, platform } = request;
    const mounts = mountsOf(scope, request.mounts);
    const of = platformOf(platform);
    // Not the call's own life: what its mounts lead to stays as long as the container.
    const context = await scope.context(containers.signal);
    const builds = await backend.builds();
    await containers.add(containerId, (lent) =>
      builds.openContainer({
        name: `container ${containerId}`,
        mounts,
        network,
        hostname,
        extraHosts: request.extraHosts.map(hostOf),
        ...(of === undefined ? {} : { platform: of }),
        client: clientOf(context, lent),
        entitlements: job.entitlements,
        signal: context.signal,
      }),
    );
    await answer(call, EmptySchema, {});
  };

const releaseContainer =
  (scopeOf: ScopeOf): GrpcHandler =>
  async (call) => {
    const { containerId } = fromBinary(ReleaseContainerRequestSchema, await readOne(call));
    await scopeOf(call).containers.remove(containerId);
    await answer(call, EmptySchema, {});
  };

const startProcess = async (
  { containers }: GatewayScope,
  call: GrpcCall,
  processId: string,
  init: InitMessage,
): Promise<RemoteProcess> => {
  const { args, env, user, cwd } = fromBinary(ExecMetaSchema, init.meta);
  const beyond = init.fds.find((fd) => fd > 2);
  if (beyond !== undefined) {
    const reason = `fd ${beyond} of process "${processId}" is not supported by naru`;
    throw new NaruError("not_implemented", `${reason}: there are 0, 1 and 2`);
  }
  const process = await containers.get(init.containerId).start({
    args,
    env,
    user,
    workingDir: cwd,
    isTty: init.tty,
    hasStdin: init.fds.includes(0),
    security: init.security,
    secretEnv: init.secretEnv.map((bytes) => fromBinary(SecretEnvSchema, bytes)),
  });
  return new RemoteProcess(processId, process, init.fds, call);
};

/** Processes of one stream by the ids that the client chose. */
class Processes {
  readonly #scope: GatewayScope;
  readonly #call: GrpcCall;
  readonly #processes = new Map<string, RemoteProcess>();

  constructor(scope: GatewayScope, call: GrpcCall) {
    this.#scope = scope;
    this.#call = call;
  }

  #get(id: string): RemoteProcess {
    const process = this.#processes.get(id);
    if (process !== undefined) return process;
    throw new NaruError("not_found", `IO for process "${id}" not found`);
  }

  async take({ processId, input }: ExecMessage): Promise<void> {
    if (processId === "") throw new NaruError("invalid_argument", "ProcessID required");
    switch (input.case) {
      case "init": {
        if (this.#processes.has(processId)) {
          throw new NaruError("already_exists", `process "${processId}" exists already`);
        }
        const process = await startProcess(this.#scope, this.#call, processId, input.value);
        this.#processes.set(processId, process);
        return;
      }
      case "file":
        return await this.#get(processId).write(input.value);
      case "resize":
        return this.#get(processId).resize(input.value.rows, input.value.cols);
      case "signal":
        return this.#get(processId).signal(signalNumber(input.value.name));
      case "started":
      case "exit":
      case "done":
      case undefined: {
        const what = `a message "${input.case ?? "without content"}" from a client`;
        throw new NaruError("invalid_argument", `${what} for process "${processId}"`);
      }
    }
  }

  async ended(): Promise<void> {
    await Promise.all([...this.#processes.values()].map(({ ended }) => ended));
  }

  close(): void {
    for (const process of this.#processes.values()) process.close();
  }
}

const execProcess =
  (scopeOf: ScopeOf): GrpcHandler =>
  async (call) => {
    const processes = new Processes(scopeOf(call), call);
    // Also while one of them takes no input, or when nothing more is to come from the client.
    call.signal.addEventListener("abort", () => processes.close(), { once: true });
    // By hand: leaving a loop over them resets the stream, and nobody would hear why.
    const messages = call.messages[Symbol.asyncIterator]();
    try {
      for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
        await processes.take(fromBinary(ExecMessageSchema, next.value));
      }
      await processes.ended();
    } finally {
      processes.close();
    }
  };

export const containerHandlers = (
  backend: DockerBackend,
  scopeOf: ScopeOf,
  prefix: string,
): readonly [string, GrpcHandler][] => [
  [`${prefix}NewContainer`, newContainer(backend, scopeOf)],
  [`${prefix}ReleaseContainer`, releaseContainer(scopeOf)],
  [`${prefix}ExecProcess`, execProcess(scopeOf)],
];
